package engine_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

var writeDoc = flag.Bool("simulation.write", false, "write the list of invariants into docs/reliability.md")

const reliability = "../docs/reliability.md"

// TestInvariantsAreListed checks that docs/reliability.md lists the invariants as they
// are, and that all of them are checked.
func TestInvariantsAreListed(t *testing.T) {
	t.Parallel()
	const source = "simulation_invariants_test.go"
	file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	checked := map[string]bool{}
	for _, f := range runInvariants {
		checked[methodName(f)] = true
	}
	for _, f := range worldInvariants {
		checked[methodName(f)] = true
	}
	for _, f := range forkInvariants {
		checked[methodName(f)] = true
	}
	var table strings.Builder
	table.WriteString("| promise | checked by |\n|---|---|\n")
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv == nil || !strings.Contains(f.Doc.Text(), `"`) {
			continue
		}
		name := f.Name.Name
		if receiver := f.Recv.List[0].Names[0].Name; receiver == "c" && !checked[name] {
			t.Errorf("%s is in neither list of invariants", name)
		}
		text := strings.Join(strings.Fields(f.Doc.Text()), " ")
		fmt.Fprintf(&table, "| %s | `%s` |\n", strings.ReplaceAll(text, "|", "\\|"), name)
	}
	if *writeDoc {
		writeTable(t, reliability, "invariants", table.String())
	}
	text, err := os.ReadFile(reliability)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), table.String()) {
		t.Errorf("%s does not list the invariants as they are: go test ./engine -run TestInvariantsAreListed -simulation.write", reliability)
	}
}

func methodName(f any) string {
	name := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
	return name[strings.LastIndexByte(name, '.')+1:]
}

// writeTable replaces what is between two comments of a document.
func writeTable(t *testing.T, path, name, table string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n"
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, also := strings.Cut(rest, end)
	if !ok || !also {
		t.Fatalf("%s has no place for the %s", path, name)
	}
	if err := os.WriteFile(path, []byte(head+begin+table+end+tail), 0o600); err != nil {
		t.Fatal(err)
	}
}
