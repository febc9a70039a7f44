package tenter_test

import (
	"bytes"
	"encoding/json"
	"errors"
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
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// TestDocs compiles the code in README and docs: programs as they are, the fragments of
// a page as one package, together with what docs/testdata/PAGE.go adds to it. A fragment
// with tests that follows a program belongs to it, and is executed.
func TestDocs(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var programs []program
	pages := map[string][]fragment{}
	for _, file := range append(files, "README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		follows := false // a program
		for _, at := range goBlock.FindAllSubmatchIndex(text, -1) {
			code, line := string(text[at[2]:at[3]]), 2+bytes.Count(text[:at[0]], []byte("\n"))
			if strings.HasPrefix(code, "package ") || strings.HasPrefix(code, "// ") && strings.Contains(code, "\npackage main\n") {
				programs, follows = append(programs, program{code: code}), true
				continue
			}
			f, err := parseFragment(fmt.Sprintf("%s:%d", file, line), code)
			if err != nil {
				t.Error(err)
				continue
			}
			if follows && strings.HasPrefix(code, "func Test") {
				last := &programs[len(programs)-1]
				last.tests = append(last.tests, f.code)
				continue
			}
			pages[file] = append(pages[file], f)
		}
	}
	build(t, programs)
	check(t, pages)
}

// program is a package that exists in the docs only.
type program struct {
	code  string
	tests []string // fragments
}

// build compiles programs inside the module, and executes their tests.
func build(t *testing.T, programs []program) {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	overlay, temp := map[string]string{}, t.TempDir()
	list := filepath.Join(temp, "overlay.json")
	compile := []string{"go", "list", "-export", "-test", "-overlay", list} // it links nothing
	var commands [][]string
	for i, p := range programs {
		dir, out := fmt.Sprintf("internal/doc%d", i), filepath.Join(temp, fmt.Sprintf("doc%d", i))
		add := func(name, code string) {
			path := filepath.Join(temp, fmt.Sprintf("%d_%s", i, name))
			if err := os.WriteFile(path, []byte(code), 0o600); err != nil {
				t.Fatal(err)
			}
			overlay[filepath.Join(root, dir, name)] = path
		}
		switch {
		case p.tests != nil:
			add("main.go", p.code)
			name, _, _ := strings.Cut(p.code, "\n") // the package clause
			for i, tests := range p.tests {
				add(fmt.Sprintf("doc%d_test.go", i), strings.Replace(withImports(t, tests), "package p", name, 1))
			}
			commands = append(commands, []string{"go", "test", "-c", "-vet=off", "-overlay", list, "-o", out, "./" + dir}, []string{out})
		case strings.Contains(p.code, "package main\n"):
			add("main.go", p.code)
			compile = append(compile, "./"+dir)
		default:
			add("doc_test.go", p.code)
			compile = append(compile, "./"+dir)
		}
	}
	data, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range append(commands, compile) {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", args[len(args)-1], err, out)
		}
	}
}

// fragment is a piece of a program.
type fragment struct {
	at     string // file:line of its first line
	code   string // with what it takes to be a file
	offset int    // lines before the first one
}

// parseFragment accepts declarations, statements (of a function that has a ctx and may
// return anything), or the fields of engine.Options. An ellipsis stands for what is
// left out.
func parseFragment(at, code string) (fragment, error) {
	code = regexp.MustCompile(`\{ ?… ?\}|\{…\}`).ReplaceAllString(code, "{}")
	code = strings.ReplaceAll(code, "…", "")
	var first error
	for _, around := range []string{"%s", "func _(ctx workflow.Context) error {\n%s\n}", "var _ = engine.Options{\n%s\n}"} {
		whole := fmt.Sprintf("package p\n"+around, code)
		_, err := parser.ParseFile(token.NewFileSet(), "", whole, parser.SkipObjectResolution)
		if err == nil {
			return fragment{at, whole, 1 + strings.Count(around, "\n") - strings.Count(strings.SplitAfter(around, "%s")[1], "\n")}, nil
		}
		if first == nil {
			first = err
		}
	}
	return fragment{}, fmt.Errorf("%s: %w\n%s", at, first, code)
}

// check type-checks fragments.
func check(t *testing.T, pages map[string][]fragment) {
	t.Helper()
	known := exported(t)
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		if file := known[path]; file != "" {
			return os.Open(file)
		}
		return nil, errors.New("no test of the docs imports it: add it to docImports")
	})
	for _, page := range slices.Sorted(maps.Keys(pages)) {
		var files []*ast.File
		for _, f := range pages[page] {
			source := withImports(t, f.code)
			file, err := parser.ParseFile(fset, f.at+" ("+page+")", source, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		more := filepath.Join("docs", "testdata", strings.TrimSuffix(filepath.Base(page), ".md")+".go")
		if source, err := os.ReadFile(more); err == nil {
			file, err := parser.ParseFile(fset, more, source, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		config := types.Config{Importer: imports, Error: func(err error) {
			if !tolerable.MatchString(err.Error()) {
				t.Errorf("%v", err)
			}
		}}
		_, _ = config.Check("p", fset, files, nil) // its errors are told by Error
	}
}

// tolerable is what fragments may do: leave things out, and say a thing in two ways.
var tolerable = regexp.MustCompile(`declared and not used|missing return|return values|imported and not used|redeclared|other declaration of|is not used|no new variables`)

// docImports are what fragments import without saying so.
var docImports = map[string]string{
	"context": "context", "errors": "errors", "fmt": "fmt", "http": "net/http", "net": "net", "signal": "os/signal", "json": "encoding/json", "log": "log", "os": "os",
	"flag": "flag", "slog": "log/slog", "testing": "testing", "time": "time", "url": "net/url", "strings": "strings", "sql": "database/sql",
	"pgx": "github.com/jackc/pgx/v5", "pgxpool": "github.com/jackc/pgx/v5/pgxpool",
	"zombiezen": "zombiezen.com/go/sqlite", "sqlitex": "zombiezen.com/go/sqlite/sqlitex",
	"engine": module + "/engine", "workflow": module + "/workflow", "server": module + "/server", "sender": module + "/sender",
	"store": module + "/store", "sqlite": module + "/store/sqlite", "postgres": module + "/store/postgres", "inspect": module + "/inspect",
	"trace": "go.opentelemetry.io/otel/trace", "metric": "go.opentelemetry.io/otel/metric",
	"dashboard": module + "/dashboard", "access": module + "/access", "client": module + "/client",
	"workflowtest": module + "/workflowtest",
}

// withImports adds the imports that a fragment needs, in its first line.
func withImports(t *testing.T, code string) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "", code, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, name := range slices.Compact(slices.Sorted(unresolved(file))) {
		if path := docImports[name]; path != "" {
			fmt.Fprintf(&b, "; import %s %q", name, path)
		}
	}
	return strings.Replace(code, "package p\n", "package p"+b.String()+"\n", 1)
}

func unresolved(file *ast.File) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, id := range file.Unresolved {
			if !yield(id.Name) {
				return
			}
		}
	}
}

// exported returns the files with the export data of packages.
func exported(t *testing.T) map[string]string {
	t.Helper()
	args := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}"}
	cmd := exec.CommandContext(t.Context(), "go", append(args, slices.Sorted(maps.Values(docImports))...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		files[path] = file
	}
	return files
}

// TestWidth checks that the prose of README and docs wraps at 100 columns: not its code,
// tables and links, which can't.
func TestWidth(t *testing.T) {
	t.Parallel()
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range proseLines(string(text)) {
			if n := utf8.RuneCountInString(line); n > 100 && len(strings.Fields(line)) > 1 {
				t.Errorf("%s:%d: %d columns: wrap prose at 100", file, i+1, n)
			}
		}
	}
}

// proseLines returns the lines of a page, with those of code, tables and images empty,
// and those that make bench and its like write.
func proseLines(page string) []string {
	lines := strings.Split(page, "\n")
	fenced, generated := false, false
	for i, line := range lines {
		trimmed := strings.TrimSpace(line)
		fence := strings.HasPrefix(trimmed, "```")
		if fence {
			fenced = !fenced
		}
		if strings.HasPrefix(line, "<!--") {
			generated = strings.HasSuffix(line, ": begin -->")
		}
		if generated || fence || fenced || strings.HasPrefix(line, "    ") || strings.HasPrefix(trimmed, "|") || strings.HasPrefix(trimmed, "![") || strings.HasPrefix(trimmed, "[![") {
			lines[i] = ""
		}
	}
	return lines
}

// TestSupplyChain checks the dependencies against the table that says what they are for.
func TestSupplyChain(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{if not (or .Main .Indirect)}}{{.Path}}{{end}}", "all").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		short := strings.TrimPrefix(path, "go.opentelemetry.io/otel")
		if !bytes.Contains(text, []byte("`"+path+"`")) && (short == path || !bytes.Contains(text, []byte("`"+short+"`"))) {
			t.Errorf("docs/security.md does not say what %s is for", path)
		}
	}
}
