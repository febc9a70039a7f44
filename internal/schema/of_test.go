package schema_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/tenter-dev/tenter/internal/schema"
	"github.com/tenter-dev/tenter/workflow"
)

type (
	color   int
	secret  struct{ hidden string }
	address struct {
		Street string `json:"street"`
		ZIP    string `json:"zip,omitempty"`
	}
	embedded struct{ At time.Time }
	order    struct {
		embedded
		ID       string            `json:"id" jsonschema:"what it is called"`
		Amount   float64           `json:"amount"`
		Paid     *bool             `json:"paid"`
		To       address           `json:"to"`
		Tags     []string          `json:"tags"`
		Notes    map[string]string `json:"notes,omitempty"`
		Color    color             `json:"color"`
		Secret   secret            `json:"secret"`
		From     netip.Addr        `json:"from"`
		Raw      json.RawMessage   `json:"raw"`
		Bytes    []byte            `json:"bytes"`
		Callback func()            `json:"-"`
		Any      any               `json:"any"`
		private  int
	}
	tree struct {
		Children []tree          `json:"children"`
		Named    map[string]tree `json:"named"`
	}
	forest struct {
		Name  string `json:"name"`
		Trees []tree `json:"trees"`
	}
	odd struct {
		Channel chan int
		N       int
	}
)

func (c color) MarshalText() ([]byte, error) { return []byte("red"), nil }

func (s secret) MarshalJSON() ([]byte, error) { return []byte(`{"masked":true}`), nil }

// What a type encodes to fits its schema.
func TestOf(t *testing.T) {
	t.Parallel()
	for _, v := range []any{
		1, "x", true, 1.5,
		[]int{1},
		[]int(nil),
		map[string]int{"a": 1},
		struct{}{},
		time.Now(), &address{}, (*address)(nil),
		order{},
		order{Secret: secret{"x"}, private: 1, Raw: json.RawMessage(`[1]`), Bytes: []byte{255}, Tags: []string{"a"}},
		tree{Children: []tree{{}, {Children: []tree{{}}}}},
		forest{Trees: []tree{{}}},
		[]forest{{}},
		[2]color{},
	} {
		text := schema.Of(reflect.TypeOf(v))
		var s jsonschema.Schema
		if err := json.Unmarshal(text, &s); err != nil {
			t.Errorf("%T: %s: %v", v, text, err)
			continue
		}
		resolved, err := s.Resolve(nil)
		if err != nil {
			t.Errorf("%T: %s: %v", v, text, err)
			continue
		}
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var decoded any
		if err := json.Unmarshal(data, &decoded); err != nil {
			t.Fatal(err)
		}
		if err := resolved.Validate(decoded); err != nil {
			t.Errorf("%T: %s does not fit %s: %v", v, data, text, err)
		}
	}
}

type receipt struct {
	Photo []byte `json:"photo" contentMediaType:"image/*"`
}

func TestOfIsPrecise(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		v    any
		want string
	}{
		{time.Time{}, `{"type":"string","format":"date-time"}`},
		{[]byte{}, `{"type":["null","string"],"contentEncoding":"base64"}`},
		{workflow.File{}, `{"type":"object","format":"file","properties":{"name":{"type":"string"},"contentType":{"type":"string"},
			"data":{"type":"string","contentEncoding":"base64","minLength":1}},"required":["data"],"additionalProperties":false}`},
		{receipt{}, `{"type":"object","properties":{"photo":{"type":["null","string"],"contentEncoding":"base64","contentMediaType":"image/*"}},
			"required":["photo"],"additionalProperties":false}`},
		{color(1), `{"type":"string"}`},
		{secret{}, `{}`},
		{odd{}, `{"type":"object","properties":{"N":{"type":"integer"}},"required":["N"],"additionalProperties":false}`},
		{forest{}, `{"type":"object","properties":{"name":{"type":"string"},"trees":{"type":["null","array"],"items":
			{"type":"object","properties":{"children":{"type":["null","array"],"items":{}},"named":{"type":["null","object"],"additionalProperties":{}}},
			"required":["children","named"],"additionalProperties":false}}},"required":["name","trees"],"additionalProperties":false}`},
		{address{}, `{"type":"object","properties":{"street":{"type":"string"},"zip":{"type":"string"}},"required":["street"],"additionalProperties":false}`},
	} {
		var got, wanted any
		if err := json.Unmarshal(schema.Of(reflect.TypeOf(tt.v)), &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(tt.want), &wanted); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%T (-want +got):\n%s", tt.v, diff)
		}
	}
	for _, nothing := range []reflect.Type{nil, reflect.TypeFor[chan int](), reflect.TypeFor[any]()} {
		if got := string(schema.Of(nothing)); got != "{}" {
			t.Errorf("%v: %s", nothing, got)
		}
	}
}
