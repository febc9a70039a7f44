package tenter_test

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tenter-dev/tenter"

// A layer is a row of the table that says who may import whom.
type layer struct {
	pkg string   // path below the module; * stands for one element, a trailing /... for any
	may []string // packages of this module that it may import, in the same notation
	std bool     // it imports nothing from outside the module but the standard library
	why string   // printed when the row is broken
}

// The first row that matches a package counts, so special ones come first. A
// new package needs a row, and its row must say what it may not know.
var layers = []layer{
	{
		pkg: ".", std: true,
		why: "the root only documents the module",
	},
	{
		pkg: "workflow", may: []string{"internal/run", "internal/journal", "internal/schema", "internal/sensitive", "internal/strictjson"}, std: true,
		why: "workflow code is compiled into every program that starts a run, so it carries no engine, store or dependency along",
	},
	{
		pkg: "internal/run", may: []string{"internal/journal"}, std: true,
		why: "it is the seam between workflow and engine; whatever it imported, both would",
	},
	{
		pkg: "internal/journal", std: true,
		why: "it is the language of what is stored, and must not change because something else does",
	},
	{
		pkg: "internal/strictjson", std: true,
		why: "workflow code decodes with it, and carries no dependency along",
	},
	{
		pkg: "internal/gid", std: true,
		why: "it tells goroutines apart, and knows nothing else",
	},
	{
		pkg: "internal/planted", std: true,
		why: "it is asked all over the place, so it may bring nothing along",
	},
	{
		pkg: "internal/sensitive", std: true,
		why: "it goes by the names of headers alone, for those who log and those who show",
	},
	{
		pkg: "internal/prefix", std: true,
		why: "it makes ranges of texts for engine and stores alike",
	},
	{
		pkg: "internal/saturate", std: true,
		why: "it does arithmetic for engine, stores and tools alike",
	},
	{
		pkg: "internal/batched", std: true,
		why: "it groups what callers ask for, for engine and stores alike",
	},
	{
		pkg: "internal/archive", may: []string{"workflow", "store", "internal/run", "internal/journal", "internal/sensitive", "internal/strictjson"}, std: true,
		why: "it is the format of exports, for those who write them and the test kit that reads them",
	},
	{
		pkg: "internal/faultproxy", std: true,
		why: "it does to connections what networks do; whoever suffers it has to cope without its help",
	},
	{
		pkg: "internal/faultdisk",
		why: "it does to SQLite what disks do; whoever suffers it has to cope without its help",
	},
	{
		pkg: "internal/sandbox", std: true,
		why: "it runs the servers of any test, so it can know nothing that is tested",
	},
	{
		pkg: "internal/pgtest", may: []string{"internal/sandbox"},
		why: "it gives any test a PostgreSQL, so it can know nothing that is tested",
	},
	{
		pkg: "internal/patroni", may: []string{"internal/pgtest", "internal/sandbox"},
		why: "it gives tests a PostgreSQL that fails over, so it can know nothing that is tested",
	},
	{
		pkg: "internal/memdir", std: true,
		why: "it gives any test a folder, so it can know nothing that is tested",
	},
	{
		pkg: "internal/browsertest",
		why: "it gives any test a browser, so it can know nothing that is tested",
	},
	{
		pkg: "internal/apicheck",
		why: "it checks the API against its description, and would believe the code if it knew it",
	},
	{
		pkg: "internal/schema", may: []string{"internal/strictjson"}, std: true,
		why: "it makes schemas of any types and reads any schemas, and knows none; workflow code checks payloads by them, and carries no dependency along",
	},
	{
		pkg: "internal/form", may: []string{"internal/schema", "internal/strictjson"}, std: true,
		why: "it makes forms of any schemas, for whichever page shows them",
	},
	{
		pkg: "internal/api", may: []string{"workflow", "inspect"}, std: true,
		why: "it is what the API's server and client have in common; whatever it imported, both would",
	},
	{
		pkg: "inspect", may: []string{"workflow", "internal/journal", "internal/sensitive"}, std: true,
		why: "what shows runs works on an engine and on a server alike, so what it is shown belongs to neither",
	},
	{
		pkg: "access", std: true,
		why: "who may do what is decided by the request alone, for the API and the dashboard alike",
	},
	{
		pkg: "engine/internal/execution", may: []string{"workflow", "internal/run", "internal/journal", "internal/gid", "internal/planted", "internal/saturate", "store"},
		why: "a replay has to come to what was recorded, so workflow code is executed without a store, a clock, or a worker",
	},
	{
		pkg: "engine/internal/worker", may: []string{"engine/internal/*", "workflow", "internal/journal", "internal/run", "internal/planted", "internal/saturate", "store"},
		why: "a worker executes runs for whichever engine; what callers ask is the engine's business",
	},
	{
		pkg: "engine/internal/telemetry", may: []string{"engine/internal/execution", "workflow", "internal/journal", "internal/run", "store"},
		why: "it tells what it is told, and asks nobody",
	},
	{
		pkg: "engine/internal/waiting", may: []string{"engine/internal/outage", "store", "workflow", "internal/batched"}, std: true,
		why: "who waits for what happens elsewhere knows the store's signals, and neither workers nor runs",
	},
	{
		pkg: "engine/internal/outage", may: []string{"engine/internal/jitter"}, std: true,
		why: "an outage is the same for all that need the store",
	},
	{
		pkg: "engine/internal/jitter", std: true,
		why: "it draws random numbers for engine and parts alike",
	},
	{
		pkg: "engine", may: []string{"engine/internal/*", "workflow", "internal/archive", "internal/batched", "internal/run", "internal/journal", "internal/planted", "internal/prefix", "internal/saturate", "internal/schema", "internal/strictjson", "inspect", "store", "sender"},
		why: "an engine knows its database by the store contract alone, and its callers not at all",
	},
	{
		pkg: "store", std: true,
		why: "it is a contract, and anybody can implement it",
	},
	{
		pkg: "store/internal/*", may: []string{"store", "internal/journal"}, std: true,
		why: "it is what stores have in common, and knows none of them",
	},
	{
		pkg: "store/*", may: []string{"store", "store/internal/*", "internal/batched", "internal/journal", "internal/planted", "internal/prefix", "internal/saturate"},
		why: "a store, like the suite that proves it, knows the contract and the language of what it keeps, but no engine and no other store",
	},
	{
		pkg: "sender", std: true,
		why: "verifying a signature takes a header, a body and a key, and is useful without an engine",
	},
	{
		pkg: "server", may: []string{"workflow", "internal/run", "internal/api", "internal/form", "internal/schema", "internal/strictjson", "engine", "inspect", "sender", "access"},
		why: "handlers talk to an engine, never to its store",
	},
	{
		pkg: "client", may: []string{"workflow", "internal/run", "internal/api", "inspect"},
		why: "a client speaks HTTP to an engine elsewhere, and links none",
	},
	{
		pkg: "dashboard", may: []string{"workflow", "inspect", "access", "internal/form"},
		why: "the dashboard reads and acts through a small interface of its own, so that it fits an engine and a client",
	},
	{
		pkg: "workflowtest", may: []string{"workflow", "inspect", "internal/archive", "internal/run", "internal/journal", "engine", "store", "store/sqlite", "server"},
		why: "the test kit stands between workflow code and the engine, and the engine and its store, where anything public lets it; it changes neither",
	},
	{
		pkg: "scenario",
		why: "it is tests alone, and nobody can import them",
	},
	{
		pkg: "cmd/...", may: []string{"..."},
		why: "", // The command line may know everything.
	},
	{
		pkg: "examples/...", may: []string{"workflow", "engine", "inspect", "store", "store/*", "server", "client", "sender", "access", "dashboard", "workflowtest", "examples/..."},
		why: "an example shows what a user can do, and users can't import internal packages",
	},
}

// A confined import may appear only in some packages, whatever their layer.
type confined struct {
	path  string // an import path and all below it
	in    []string
	tests bool     // test files must keep to it as well
	also  []string // test files of these may have it all the same
	why   string
}

var confinedImports = []confined{
	{
		path: "net/http",
		in:   []string{"workflow", "inspect", "sender", "access", "internal/apicheck", "internal/patroni", "server", "client", "dashboard", "workflowtest", "cmd/...", "examples/..."},
		why:  "HTTP ends at the edge; workflow, inspect and signature have it only for http.Header and http.Request, and Patroni is asked over it",
	},
	{
		path: "testing",
		in:   []string{"store/storetest", "workflowtest", "internal/browsertest", "internal/memdir", "internal/pgtest", "internal/patroni", "examples/internal/exampletest"},
		why:  "it would put test flags and test code into every user's program",
	},
	{
		path: "net/http/httptest",
		in:   []string{"workflowtest"},
		why:  "it is for tests",
	},
	{
		path: "database/sql",
		in:   []string{"store/sqlite", "store/postgres", "cmd/...", "examples/..."},
		why:  "SQL is a store's own business",
	},
	{
		path: "go.opentelemetry.io/otel",
		in:   []string{"engine", "engine/internal/*", "server", "client", "cmd/..."},
		why:  "the engine tells OpenTelemetry what happens, the edge carries the trace; nobody else needs to know",
	},
	{path: "go.opentelemetry.io/otel/sdk", in: []string{"cmd/..."}, why: "programs choose it; libraries have the API"},
	// A disk that fails is a VFS, and VFSs are registered with the library below the driver.
	{path: "modernc.org/sqlite", in: []string{"store/sqlite", "internal/faultdisk"}, tests: true, why: driverWhy},
	// The engine's tests have an application that shares the file.
	{path: "zombiezen.com/go/sqlite", in: []string{"store/sqlite", "scenario", "examples/..."}, tests: true, also: []string{"engine"}, why: driverWhy},
	{path: "github.com/jackc/pgx", in: []string{"store/postgres", "internal/pgtest", "internal/patroni", "scenario", "examples/..."}, tests: true, why: driverWhy},
}

const driverWhy = "a driver is known to its own store alone; everybody else goes through the contract"

func TestArchitecture(t *testing.T) {
	t.Parallel()
	for _, p := range loadPackages(t) {
		i := slices.IndexFunc(layers, func(l layer) bool { return match(l.pkg, p.path) })
		if i < 0 {
			t.Errorf("package %s has no row in layers (arch_test.go): say what it may import, and why no more", p.path)
			continue
		}
		for _, f := range p.files {
			for _, imp := range f.imports() {
				if !f.test {
					checkLayer(t, layers[i], p, f, imp)
				}
				checkConfined(t, p, f, imp)
			}
		}
	}
}

func checkLayer(t *testing.T, l layer, p *pkg, f *file, imp string) {
	t.Helper()
	rel, inModule := relative(imp)
	switch {
	case inModule && !matchAny(l.may, rel):
		t.Errorf("%s: package %s may not import %s: %s", f.path, p.path, rel, l.why)
	case !inModule && l.std && !standard(imp):
		t.Errorf("%s: package %s may not import %s, only the standard library: %s", f.path, p.path, imp, l.why)
	}
}

func checkConfined(t *testing.T, p *pkg, f *file, imp string) {
	t.Helper()
	// The most specific rule counts.
	var rule confined
	for _, c := range confinedImports {
		if below(imp, c.path) && len(c.path) > len(rule.path) {
			rule = c
		}
	}
	if rule.path == "" || f.test && (!rule.tests || matchAny(rule.also, p.path)) || matchAny(rule.in, p.path) {
		return
	}
	t.Errorf("%s: %s may be imported only by %s: %s", f.path, imp, strings.Join(rule.in, ", "), rule.why)
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, path string
		want          bool
	}{
		{".", ".", true},
		{".", "store", false},
		{"store", "store", true},
		{"store", "store/sqlite", false},
		{"store/*", "store/sqlite", true},
		{"store/*", "store", false},
		{"store/*", "store/sqlite/x", false},
		{"cmd/...", "cmd/tenter", true},
		{"cmd/...", "cmd", true},
		{"cmd/...", "cmdline", false},
		{"...", "store/sqlite", true},
	} {
		if got := match(tt.pattern, tt.path); got != tt.want {
			t.Errorf("match(%q, %q) = %t, want %t", tt.pattern, tt.path, got, tt.want)
		}
	}
}

func TestPackageDocs(t *testing.T) {
	t.Parallel()
	for _, p := range loadPackages(t) {
		var name, text string
		for _, f := range p.files {
			if f.test {
				continue
			}
			name = f.syntax.Name.Name
			if f.syntax.Doc == nil {
				continue
			}
			if text != "" {
				t.Errorf("%s: package %s has a second package comment here: keep one", f.path, p.path)
			}
			text = f.syntax.Doc.Text()
		}
		if name == "" {
			continue // only tests
		}
		want := "Package " + name + " "
		if name == "main" {
			want = "Command " + path.Base(p.path) + " "
		}
		synopsis := new(doc.Package).Synopsis(text)
		if !strings.HasPrefix(text, want) || !strings.HasSuffix(synopsis, ".") {
			t.Errorf("package %s needs a package comment that starts with a sentence %q; it has %q", p.path, want+"…", synopsis)
		}
	}
}

// sqlFunction is a function of PostgreSQL, and its name.
var sqlFunction = regexp.MustCompile(`(?ms)^CREATE OR REPLACE FUNCTION (\w+)\(.*?^END \$\$;`)

// TestLongest fails on nothing. It shows what has grown, for people to judge:
//
//	go test -run Longest -v .
func TestLongest(t *testing.T) {
	t.Parallel()
	type item struct {
		lines int
		what  string
	}
	var funcs, files []item
	for _, p := range loadPackages(t) {
		for _, f := range p.files {
			if f.test || ast.IsGenerated(f.syntax) {
				continue
			}
			files = append(files, item{f.lines(f.syntax.FileStart, f.syntax.FileEnd), f.path})
			for _, decl := range f.syntax.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok {
					what := fmt.Sprintf("%s:%d %s", f.path, f.set.Position(fn.Pos()).Line, fn.Name.Name)
					funcs = append(funcs, item{f.lines(fn.Pos(), fn.End()), what})
				}
			}
		}
	}
	top := func(title string, items []item) {
		slices.SortFunc(items, func(a, b item) int { return cmp.Or(b.lines-a.lines, strings.Compare(a.what, b.what)) })
		var b strings.Builder
		for _, it := range items[:min(10, len(items))] {
			fmt.Fprintf(&b, "\n%6d  %s", it.lines, it.what)
		}
		t.Logf("%s, in lines:%s", title, &b)
	}
	sql, err := filepath.Glob("store/postgres/functions/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range sql {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, item{bytes.Count(text, []byte("\n")), path})
		for _, at := range sqlFunction.FindAllSubmatchIndex(text, -1) {
			line := 1 + bytes.Count(text[:at[0]], []byte("\n"))
			what := fmt.Sprintf("%s:%d %s", path, line, text[at[2]:at[3]])
			funcs = append(funcs, item{1 + bytes.Count(text[at[0]:at[1]], []byte("\n")), what})
		}
	}
	top("longest functions", funcs)
	top("longest files", files)
}

// A pkg is a folder with Go files.
type pkg struct {
	path  string // below the module, "." for the root
	files []*file
}

type file struct {
	path   string
	test   bool
	set    *token.FileSet
	syntax *ast.File
}

func (f *file) imports() []string {
	var paths []string
	for _, spec := range f.syntax.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

func (f *file) lines(from, to token.Pos) int {
	return f.set.Position(to).Line - f.set.Position(from).Line + 1
}

// loadPackages parses the module's Go files, those of other platforms and
// build tags too. It leaves out nested modules and what the go command
// ignores. It does not type-check, so it is fast and works on broken code.
func loadPackages(t *testing.T) []*pkg {
	t.Helper()
	var pkgs []*pkg
	byDir := make(map[string]*pkg)
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		hidden := name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_"))
		if d.IsDir() {
			_, statErr := os.Stat(filepath.Join(name, "go.mod"))
			if name != "." && (hidden || base == "testdata" || base == "node_modules" || statErr == nil) {
				return filepath.SkipDir
			}
			return nil
		}
		if hidden || !strings.HasSuffix(base, ".go") {
			return nil
		}
		set := token.NewFileSet()
		syntax, err := parser.ParseFile(set, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(name))
		if byDir[dir] == nil {
			byDir[dir] = &pkg{path: dir}
			pkgs = append(pkgs, byDir[dir])
		}
		byDir[dir].files = append(byDir[dir].files, &file{
			path:   filepath.ToSlash(name),
			test:   strings.HasSuffix(base, "_test.go"),
			set:    set,
			syntax: syntax,
		})
		return nil
	})
	if err != nil {
		t.Fatalf("load packages: %v", err)
	}
	return pkgs
}

// relative returns an import path below the module.
func relative(imp string) (rel string, ok bool) {
	if imp == module {
		return ".", true
	}
	return strings.CutPrefix(imp, module+"/")
}

// standard tells packages of the standard library, whose paths have no domain.
func standard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".")
}

func below(p, root string) bool {
	return p == root || strings.HasPrefix(p, root+"/")
}

func matchAny(patterns []string, p string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return match(pattern, p) })
}

func match(pattern, p string) bool {
	if pattern == "..." {
		return true
	}
	if root, ok := strings.CutSuffix(pattern, "/..."); ok {
		return below(p, root)
	}
	ok, err := path.Match(pattern, p)
	return err == nil && ok
}
