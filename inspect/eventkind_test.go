package inspect_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEventKinds compares the kinds that users see with those of the store, by their names.
func TestEventKinds(t *testing.T) {
	t.Parallel()
	want := map[string]string{}
	for name, value := range constants(t, "../store/records.go", "Kind") {
		want["Event"+name] = value
	}
	if diff := cmp.Diff(want, constants(t, "eventkind.go", "EventKind")); diff != "" || len(want) == 0 {
		t.Errorf("%d kinds (-store.Kind +EventKind):\n%s", len(want), diff)
	}
}

// constants are the constants of a type in a file.
func constants(t *testing.T, file, typ string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := v.Type.(*ast.Ident); ok && id.Name == typ {
			value, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value) //nolint:forcetypeassert // it is a literal
			if err != nil {
				t.Fatal(err)
			}
			found[v.Names[0].Name] = value
		}
		return true
	})
	return found
}
