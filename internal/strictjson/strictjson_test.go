package strictjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenter-dev/tenter/internal/strictjson"
)

type (
	item struct {
		Price float64 `json:"price"`
		Note  *string `json:"note,omitempty"`
	}
	base  struct{ Created time.Time }
	order struct {
		base
		ID      string           `json:"id"`
		Items   []item           `json:"items"`
		ByName  map[string]*item `json:"by_name"`
		Any     any              `json:"any"`
		Raw     json.RawMessage  `json:"raw"`
		Odd     int              `json:"odd\"tag"` //nolint:staticcheck // odd on purpose
		Hidden  int              `json:"-"`
		Dash    int              `json:"-,"` //nolint:staticcheck // odd on purpose
		private int
	}
	// loud encodes itself, with a field that it does not have.
	loud struct{ Name string }
)

func (l loud) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"Name": l.Name, "Loud": true})
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ data, path, want string }{
		{``, "", "it is empty"},
		{` `, "", "it is empty"},
		{`{`, "", "unexpected end"},
		{`{} {}`, "", "invalid character"},
		{`{"id": "a\ud800"}`, "id", `\ud800 is half of a surrogate pair`},
		{`{"id": "\udc00"}`, "id", `\udc00 is half`},
		{`{"id": "\ud800\ud800"}`, "id", `half`},
		{`{"id": "\ud800\n00000"}`, "id", `half`},
		{`{"id": "\uD83Dx"}`, "id", `half`},
		{"{\"id\": \"a\xff\"}", "id", `\xff is not UTF-8`},
		{"{\"id\": \"\xed\xa0\x80\"}", "id", `not UTF-8`}, // a surrogate, encoded
		{"{\"any\": {\"x\": [1, \"\xc0\x80\"]}}", "any.x[1]", `not UTF-8`},
		{"{\"any\": {\"\xff\": 1}}", "any", `not UTF-8`},
		{`{"raw": {"a": 1, "a": 2}}`, "raw.a", "twice"},
		{`{"any": {"a": 1, "\u0061": 2}}`, "any.a", "twice"},
		{`{"id": "a", "items": [], "id": "b"}`, "id", "twice"},
		{`{"ID": "a"}`, "ID", `it is written "id"`},
		{`{"items": [{}, {"Price": 1}]}`, "items[1].Price", `it is written "price"`},
		{`{"items": [{}, {"prise": 1}]}`, "items[1].prise", `there is no field "prise"`},
		{`{"by_name": {"tea": {"prise": 1}}}`, "by_name.tea.prise", `there is no field "prise"`},
		{`{"Hidden": 1}`, "Hidden", `there is no field`},
		{`{"private": 1}`, "private", `there is no field`},
		{`{"base": {}}`, "base", `there is no field`},
		{"{" + manyNames(40) + `"n7": 1}`, "n7", "twice"},
	} {
		v := any(new(order))
		if strings.HasPrefix(tt.data, `{"n`) {
			v = new(any)
		}
		err := strictjson.Unmarshal([]byte(tt.data), v)
		bad, ok := errors.AsType[*strictjson.Error](err)
		if !ok || bad.Path != tt.path || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q at %q", tt.data, err, tt.want, tt.path)
		}
	}
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"n%d": %d, `, i, i)
	}
	return b.String()
}

func TestTaken(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`{"id": "\ud83d\ude00 \u0061 \ufffd 😀 \\ud800 \"", "items": [ ], "by_name": { }, "any": [[], {}, null, -1.5e3, true], "Created": "2026-01-02T03:04:05Z", "-": 1}`,
		` {"items" : [ {"price" : 1 , "note" : null} , {} ] } `,
		`null`, `{"by_name": {"a": null, "A": {"price": 1}}}`,
		`{"any": {` + strings.TrimSuffix(manyNames(100), ", ") + `}}`,
	} {
		var got, want order
		if err := strictjson.Unmarshal([]byte(data), &got); err != nil {
			t.Errorf("%s: %v", data, err)
		}
		if err := json.Unmarshal([]byte(data), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(order{}, base{})); diff != "" {
			t.Error(diff)
		}
	}
	// Mismatches are reported by encoding/json.
	var wrong *json.UnmarshalTypeError
	if err := strictjson.Unmarshal([]byte(`{"items": {"a": 1}}`), new(order)); !errors.As(err, &wrong) {
		t.Errorf("an object for a list: %v", err)
	}
}

// What a type encodes to is never refused for that type.
func TestOwnEncoding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		items := rapid.Custom(func(t *rapid.T) item {
			return item{rapid.Float64Range(-1e9, 1e9).Draw(t, "price"), rapid.Ptr(text, true).Draw(t, "note")}
		})
		v := order{
			base: base{time.Unix(1, 0)}, ID: text.Draw(t, "id"), Items: rapid.SliceOf(items).Draw(t, "items"),
			ByName: rapid.MapOf(text, rapid.Ptr(items, true)).Draw(t, "by name"), Any: rapid.MapOf(text, text).Draw(t, "any"),
			Odd: 1, Hidden: 2, Dash: 3, private: 4,
		}
		for _, v := range []any{v, &v, []order{v}, map[string]any{"x": v}, loud{v.ID}, []any{loud{v.ID}}} {
			data, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if err := strictjson.CheckType(data, reflect.TypeOf(v)); err != nil {
				t.Errorf("%s: %v", data, err)
			}
		}
	})
}

// Fields are those that encoding/json knows, in their own capitals.
func TestFields(t *testing.T) {
	t.Parallel()
	type (
		Deep   struct{ A, Deep, Both int }
		Left   struct{ Both, Once int }
		Right  struct{ Both, Twice int }
		Mid    struct{ *Deep }
		Other  struct{ *Deep }
		Tagged struct {
			X int `json:"Once"`
			Y int `json:"Y"`
		}
		hidden struct{ Exported, unexported int } //nolint:unused // it is not there for JSON
		Loop   struct {
			*Loop
			Name string
		}
	)
	names := []string{
		"A", "a", "Deep", "Both", "Once", "once", "Twice", "X", "Y", "Exported", "unexported", "Name", "Left", "hidden", "named", "Loop", "Mid", "n", "N", "-",
		"Time", "wall", "Quoted", "quoted", "Ptr", "a\"b", "Odd", "ß", "ſ", "K", "k",
	}
	number := reflect.TypeFor[int]()
	twice := reflect.Zero(reflect.StructOf([]reflect.StructField{ // vet warns of it in the source
		{Name: "N", Type: number, Tag: `json:"n"`}, {Name: "M", Type: number, Tag: `json:"n"`},
	})).Interface()
	for _, v := range []any{
		struct{ Deep }{}, struct{ *Deep }{}, struct {
			Left
			Right
		}{}, struct {
			Left
			Tagged
		}{}, struct {
			Mid
			Other
		}{}, struct {
			Left
			Both string
		}{}, struct{ hidden }{}, Loop{}, struct {
			Left `json:"named"`
		}{}, struct {
			N int `json:"n"`
			M int `json:"N"`
		}{}, twice, struct {
			A int `json:"-"`
			N int `json:"-,"` //nolint:staticcheck // odd on purpose
		}{}, struct{ time.Time }{}, struct {
			Quoted int `json:"quoted,string"`
			Odd    int `json:"a\"b"` //nolint:staticcheck // odd on purpose
		}{}, struct {
			Ptr **Left
			K   any `json:"\u212a"` // the Kelvin sign, which folds to k
		}{}, struct {
			fmt.Stringer
			error
		}{}, map[string]int{}, struct{}{},
	} {
		typ := reflect.TypeOf(v)
		for _, name := range names {
			quoted, err := json.Marshal(name)
			if err != nil {
				t.Fatal(err)
			}
			data := []byte("{" + string(quoted) + ": null}")
			got := strictjson.CheckType(data, typ)
			d := json.NewDecoder(bytes.NewReader(data))
			d.DisallowUnknownFields()
			want := d.Decode(reflect.New(typ).Interface())
			otherCapitals := got != nil && strings.Contains(got.Error(), "it is written")
			switch {
			case typ == reflect.TypeFor[struct{ time.Time }](): // which decodes itself
			case want == nil && got != nil && !otherCapitals, want != nil && got == nil:
				t.Errorf("%s of %v: %v, and encoding/json says %v", data, typ, got, want)
			}
		}
	}
}

// What is taken means the same to all, and what is refused is refused for a reason that
// has a name.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,"\ud800\udc00",{"b":null}]}`, "\"\xff\"", `"\ud800"`, `"\\ud800"`, `"\\\ud800"`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":{"a":1},"b":[{"a":1},{"a":2}]}`,
		`{"\ud800":1,"\ufffd":2}`, `[`, ``, ` 1 `, `"\ud83d\ud83d\ude00"`, `{"":1,"":2}`, `[[[],{}]]`, `"\uDBFF\uDFFF"`, `{"\"":1,"\u0022":2}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := strictjson.Check(data)
		if want := fault(data); (got == nil) != (want == "") {
			t.Errorf("%q: %v, and what is wrong with it: %q", data, got, want)
		}
		if typed := strictjson.CheckType(data, reflect.TypeFor[order]()); typed == nil && got != nil {
			t.Errorf("%q is fine for a type, and %v", data, got)
		}
	})
}

var (
	backslashes = regexp.MustCompile(`\\\\`)
	pairs       = regexp.MustCompile(`(?i)\\ud[89ab]..\\ud[c-f]..`)
	halves      = regexp.MustCompile(`(?i)\\ud[89a-f]..`)
)

// fault says what is wrong with JSON, slowly, and with encoding/json.
func fault(data []byte) string {
	switch {
	case !json.Valid(data):
		return "it is not JSON"
	case !utf8.Valid(data):
		return "it is not UTF-8"
	case halves.Match(pairs.ReplaceAll(backslashes.ReplaceAll(data, nil), nil)):
		return "it has half of a surrogate pair"
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var around []map[any]bool // the names so far, of objects; nil for arrays
	atName := false
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		if atName && token != json.Delim('}') {
			if names := around[len(around)-1]; names[token] {
				return "it has a name twice"
			}
			around[len(around)-1][token] = true
			atName = false
			continue
		}
		switch token {
		case json.Delim('{'):
			around = append(around, map[any]bool{})
		case json.Delim('['):
			around = append(around, nil)
		case json.Delim('}'), json.Delim(']'):
			around = around[:len(around)-1]
		}
		atName = len(around) > 0 && around[len(around)-1] != nil
	}
}

const benchmarked = `{"id": "order-42", "items": [{"price": 1.5, "note": "tea for two"}, {"price": 2}], "by_name": {"tea": {"price": 1}}, "any": {"a": 1, "b": [1, 2, 3]}}`

func BenchmarkCheck(b *testing.B) {
	data := []byte(benchmarked)
	b.Run("encoding/json.Valid", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = json.Valid(data)
		}
	})
	b.Run("text", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = strictjson.Check(data)
		}
	})
	b.Run("type", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = strictjson.CheckType(data, reflect.TypeFor[order]())
		}
	})
}
