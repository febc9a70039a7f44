package dashboard

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestLayOut(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{}`, `[]`, ` [ ] `, `null`, `"a\"b\\"`, `-1.5e3`,
		`{"a":1,"b":[true,false,null,{"c":"d:,{}"}],"e":{},"f":[[],[1]]}`,
	} {
		var b, want bytes.Buffer
		tokens, cut := layOut([]byte(text), 1000)
		for _, tok := range tokens {
			b.WriteString(tok.Text)
		}
		if err := json.Indent(&want, bytes.TrimSpace([]byte(text)), "", "  "); err != nil {
			t.Fatal(err)
		}
		if cut || b.String() != want.String() {
			t.Errorf("%s (cut: %t):\n%s\nwant\n%s", text, cut, &b, &want)
		}
	}
}

func TestLayOutStops(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a long string":  `"` + strings.Repeat("ü", 1_000_000) + `"`,
		"a long list":    "[" + strings.Repeat("1,", 1_000_000) + "1]",
		"deep":           strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"a long member":  `{"` + strings.Repeat("k", 1_000_000) + `":1}`,
		"a quoted quote": `"` + strings.Repeat(`\"`, 1_000_000) + `"`,
	} {
		tokens, cut := layOut([]byte(text), 1000)
		n := 0
		for _, tok := range tokens {
			n += len(tok.Text)
		}
		if !cut || n > 100_000 {
			t.Errorf("%s: cut %t, %d bytes", name, cut, n)
		}
		if line := oneLine([]byte(text)); len(line) > shownInRow+10 || !strings.HasSuffix(line, "…") {
			t.Errorf("%s: in a row: %.300s", name, line)
		}
	}
}

// What is left of a large document is laid out as well.
func TestLayOutOfBeginnings(t *testing.T) {
	t.Parallel()
	whole := `{"a":[1,"b\\"c",{"d":null}],"e":"` + strings.Repeat("x", kept) + `"}`
	for n := range 40 {
		layOut([]byte(whole[:n]), 1000)
		oneLine([]byte(whole[:n]))
	}
	if d := jsonDoc([]byte(whole[:kept]), shown, ""); !d.Larger || !d.Cut || len(d.Tokens) < 10 {
		t.Errorf("the beginning of a large document: %+v", d)
	}
}

func FuzzLayOut(f *testing.F) {
	f.Add([]byte(`{"a":[1,"b",{}]}`), 5)
	f.Fuzz(func(t *testing.T, data []byte, limit int) {
		if !json.Valid(data) {
			t.Skip()
		}
		var b bytes.Buffer
		tokens, cut := layOut(data, max(0, limit))
		for _, tok := range tokens {
			b.WriteString(tok.Text)
		}
		if !cut {
			var got, want bytes.Buffer
			if err := json.Compact(&want, data); err != nil {
				t.Fatal(err)
			}
			if err := json.Compact(&got, b.Bytes()); err != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Fatalf("%q became %q: %v", data, b.Bytes(), err)
			}
		}
		oneLine(data)
	})
}
