package tenter_test

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mostUpward is how many arrows between files of the engine may lead to a floor above, or to
// a file that is listed before. They only fall.
var mostUpward = struct{ floors, files int }{0, 29}

// TestFloors checks that engine/doc.go lists every file of the engine and of the packages
// below it, from the top to the ground, and that few arrows lead upwards: an arrow leads from
// a file to one whose declarations it uses. To see them all:
//
//	go test -run Floors -v .
func TestFloors(t *testing.T) {
	t.Parallel()
	places := readFloors(t)
	for _, f := range engineFiles(t) {
		if _, ok := places[f]; !ok {
			t.Errorf("engine/doc.go does not list %s in a floor", f)
		}
	}
	arrows, exported := loadArrows(t, "engine")
	floors, files := 0, 0
	var upward []string
	for a, names := range arrows {
		from, to := places[a.from], places[a.to]
		if from.line < to.line {
			continue
		}
		files++
		where := "up"
		if from.floor > to.floor {
			floors++
			where = "to the floor above"
		}
		upward = append(upward, fmt.Sprintf("%s -> %s (%s): %s", a.from, a.to, where, strings.Join(slices.Sorted(maps.Keys(names)), " ")))
	}
	if floors > mostUpward.floors || files > mostUpward.files {
		t.Errorf("%d arrows lead to a floor above, and %d may; %d lead upwards, and %d may: see which with go test -run Floors -v .",
			floors, mostUpward.floors, files, mostUpward.files)
	}
	slices.Sort(upward)
	t.Log(strings.Join(upward, "\n"))
	cycle := largestCycle(arrows)
	t.Logf("of %d arrows between files, %d lead upwards, %d of them to a floor above; the largest cycle has %d files: %s",
		len(arrows), files, floors, len(cycle), strings.Join(cycle, " "))
	for _, p := range slices.Sorted(maps.Keys(exported)) {
		t.Logf("%s exports %d names", p, exported[p])
	}
}

// A floor in engine/doc.go: "  - worker (internal/worker): actor, claim".
var floorLines = regexp.MustCompile(`(?m)^//   - \w+(?: \(([\w/]+)\))?: ((?:[\w,\n ]|//     )+)`)

// A place is where a file stands: in which floor, and where in the list.
type place struct{ floor, line int }

// readFloors returns the places of files, by their paths below engine without .go: the top
// floor comes first.
func readFloors(t *testing.T) map[string]place {
	t.Helper()
	text, err := os.ReadFile("engine/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]place{}
	for floor, lines := range floorLines.FindAllStringSubmatch(string(text), -1) {
		for name := range strings.FieldsFuncSeq(lines[2], func(r rune) bool { return strings.ContainsRune(", \n/", r) }) {
			name = path.Join(lines[1], name)
			if _, twice := places[name]; twice {
				t.Errorf("engine/doc.go lists %s twice", name)
			}
			places[name] = place{floor, len(places)}
		}
	}
	if len(places) == 0 {
		t.Fatal("engine/doc.go lists no floors")
	}
	return places
}

// engineFiles are the files of the engine and below, without .go and tests.
func engineFiles(t *testing.T) (files []string) {
	t.Helper()
	for _, p := range loadPackages(t) {
		if !below(p.path, "engine") {
			continue
		}
		for _, f := range p.files {
			if name := strings.TrimPrefix(f.path, "engine/"); !f.test && filepath.Base(name) != "doc.go" {
				files = append(files, strings.TrimSuffix(name, ".go"))
			}
		}
	}
	return files
}

type arrow struct{ from, to string }

// loadArrows type-checks the packages at and below a folder. It returns the arrows between
// their files, with the names that each uses, and how many names each package exports.
func loadArrows(t *testing.T, dir string) (arrows map[arrow]map[string]bool, exported map[string]int) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-export", "-f", "{{.ImportPath}} {{.Export}}", "./"+dir+"/...")
	list.Stderr = t.Output()
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports, order := map[string]string{}, []string{}
	for line := range strings.Lines(string(out)) {
		p, export, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[p] = export
		if below(p, module+"/"+dir) {
			order = append(order, p) // dependencies come first
		}
	}
	set := token.NewFileSet()
	compiled := importer.ForCompiler(set, "gc", func(p string) (io.ReadCloser, error) {
		data, err := os.ReadFile(exports[p])
		return io.NopCloser(bytes.NewReader(data)), err
	})
	l := &loader{set: set, compiled: compiled, checked: map[string]*types.Package{}}
	arrows, exported = map[arrow]map[string]bool{}, map[string]int{}
	for _, p := range order {
		l.load(t, p, arrows)
		exported[strings.TrimPrefix(p, module+"/")] = countExported(l.checked[p].Scope())
	}
	return arrows, exported
}

// countExported counts the exported names of a package, and their methods.
func countExported(scope *types.Scope) (n int) {
	for _, name := range scope.Names() {
		if !token.IsExported(name) {
			continue
		}
		n++
		t, ok := scope.Lookup(name).Type().(*types.Named)
		if _, isType := scope.Lookup(name).(*types.TypeName); ok && isType {
			for m := range t.Methods() {
				if m.Exported() {
					n++
				}
			}
		}
	}
	return n
}

// loader checks some packages from source, so that their declarations have positions.
type loader struct {
	set      *token.FileSet
	compiled types.Importer
	checked  map[string]*types.Package
}

func (l *loader) Import(p string) (*types.Package, error) {
	if c := l.checked[p]; c != nil {
		return c, nil
	}
	return l.compiled.Import(p)
}

func (l *loader) load(t *testing.T, p string, arrows map[arrow]map[string]bool) {
	t.Helper()
	names, err := filepath.Glob(strings.TrimPrefix(p, module+"/") + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(l.set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: l}
	if l.checked[p], err = conf.Check(p, l.set, files, info); err != nil {
		t.Fatal(err)
	}
	for id, obj := range info.Uses {
		if obj.Pkg() == nil || l.checked[obj.Pkg().Path()] == nil || !obj.Pos().IsValid() {
			continue
		}
		a := arrow{l.file(id.Pos()), l.file(obj.Pos())}
		if a.from == a.to {
			continue
		}
		if arrows[a] == nil {
			arrows[a] = map[string]bool{}
		}
		arrows[a][obj.Name()] = true
	}
}

// file returns the path of a file below the engine, without .go.
func (l *loader) file(pos token.Pos) string {
	name := filepath.ToSlash(l.set.Position(pos).Filename)
	return strings.TrimSuffix(strings.TrimPrefix(name, "engine/"), ".go")
}

// largestCycle returns the largest set of files that all lead to each other.
func largestCycle(arrows map[arrow]map[string]bool) []string {
	next := map[string][]string{}
	for a := range arrows {
		next[a.from] = append(next[a.from], a.to)
	}
	reach := map[string]map[string]bool{}
	for from := range next {
		seen, todo := map[string]bool{}, []string{from}
		for len(todo) > 0 {
			f := todo[0]
			todo = todo[1:]
			for _, to := range next[f] {
				if !seen[to] {
					seen[to] = true
					todo = append(todo, to)
				}
			}
		}
		reach[from] = seen
	}
	var cycles [][]string
	for from, seen := range reach {
		if seen[from] {
			cycles = append(cycles, slices.Sorted(func(yield func(string) bool) {
				for to := range seen {
					if reach[to][from] && !yield(to) {
						return
					}
				}
			}))
		}
	}
	if len(cycles) == 0 {
		return nil
	}
	return slices.MaxFunc(cycles, func(a, b []string) int { return cmp.Compare(len(a), len(b)) })
}
