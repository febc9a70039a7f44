package dashboard

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const approvalSchema = `{
	"type": "object",
	"properties": {
		"approved": {"type": "boolean", "description": "May it go out?"},
		"comment": {"type": "string"},
		"amount": {"type": "number"},
		"days": {"type": ["null", "integer"]},
		"urgency": {"enum": ["low", "high", 3]},
		"tags": {"type": ["null", "array"], "items": {"type": "string"}},
		"lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}, "n": {"type": "integer"}}, "required": ["sku", "n"]}},
		"terms": {"type": "object", "properties": {"note": {"type": "string"}, "net": {"type": "integer"}}, "required": ["net"]},
		"extra": {"type": "object", "additionalProperties": {"type": "string"}},
		"a/b~c#d": {"type": "string"}
	},
	"required": ["approved", "comment", "days"],
	"additionalProperties": false
}`

// sent is what a browser sends of a form: name, value, …
func sent(pairs ...string) url.Values {
	v := url.Values{"_key": {"a-key-of-some-length"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

func TestFormPayload(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		schema string
		values url.Values
		want   string // empty: it is refused
		wrong  []string
	}{
		{"the least", approvalSchema, sent("f/approved", "false"), `{"approved":false,"comment":"","days":null}`, nil},
		{"nothing chosen", approvalSchema, sent("f/comment", "fine"), "", []string{"f/approved"}},
		{
			"all", approvalSchema, sent("f/approved", "true", "f/comment", "a\r\nb", "f/amount", "12.50", "f/days", "7", "f/urgency", "3",
				"f/tags#", "2", "f/tags/0", "x", "f/tags/1", "", "f/lines#", "1", "f/lines/0/sku", "loom", "f/lines/0/n", "2",
				"f/terms/net", "30", "f/extra", ` {"k": "v"} `, "f/a~1b~0c~2d", "odd"),
			`{"approved":true,"comment":"a\nb","amount":12.50,"days":7,"urgency":3,"tags":["x",""],"lines":[{"sku":"loom","n":2}],"terms":{"net":30},"extra":{"k": "v"},"a/b~c#d":"odd"}`, nil,
		},
		{"numbers", approvalSchema, sent("f/approved", "true", "f/amount", "1,5", "f/days", "1.5"), "", []string{"f/amount", "f/days"}},
		{"no such choice", approvalSchema, sent("f/approved", "maybe", "f/urgency", `"medium"`), "", []string{"f/approved", "f/urgency"}},
		{"an item without its field", approvalSchema, sent("f/approved", "true", "f/lines#", "1", "f/lines/0/sku", "x"), "", []string{"f/lines/0/n"}},
		{"an optional object in part", approvalSchema, sent("f/approved", "true", "f/terms/note", "x"), "", []string{"f/terms/net"}},
		{"JSON in a field", approvalSchema, sent("f/approved", "true", "f/extra", "{k: 1}"), "", []string{"f/extra"}},
		{"large numbers stay what they are", `{"type":"integer"}`, sent("f", "123456789012345678901234567890"), "123456789012345678901234567890", nil},
		{"a string", `{"type":"string"}`, sent("f", "<b>"), `"<b>"`, nil},
		{"a string that may not be empty", `{"type":"string","minLength":1}`, sent("f", ""), "", []string{"f"}},
		{"as JSON", approvalSchema, sent("_as", "json", "_json", `{"approved": 1}`), `{"approved": 1}`, nil}, // that it does not fit is for the engine to say
		{"as broken JSON", approvalSchema, sent("_as", "json", "_json", `{"approved": `), "", nil},
		{"untyped", "", sent("_json", `[1, 2]`), "[1, 2]", nil},
		{"untyped and empty", "", sent("_json", " "), "", nil},
		{"true is a schema", "true", sent("_json", `7`), "7", nil},
		{"a schema that is none", `{"type": 7`, sent("_json", `7`), "7", nil},
	} {
		f := newForm(json.RawMessage(tt.schema), "Payload", tt.values, nil)
		got, ok := f.Payload()
		if ok != (tt.want != "") || string(got) != tt.want {
			t.Errorf("%s: %s, %t; want %s", tt.name, got, ok, tt.want)
		}
		if diff := cmp.Diff(tt.wrong, wrong(f.Root)); diff != "" {
			t.Errorf("%s: fields with errors (-want +got):\n%s", tt.name, diff)
		}
	}
}

func wrong(c *field) []string {
	var names []string
	if c.Error != "" {
		names = append(names, c.Name)
	}
	for _, child := range c.Fields {
		names = append(names, wrong(child)...)
	}
	return names
}

func TestFormLists(t *testing.T) {
	t.Parallel()
	f := newForm(json.RawMessage(approvalSchema), "Payload", sent("f/tags#", "3", "f/tags/0", "a", "f/tags/1", "b", "f/tags/2", "c", "_remove", "f/tags/0"), nil)
	if !f.Changed || len(wrong(f.Root)) > 0 {
		t.Errorf("changed %t, errors at %v; want a changed form that does not complain yet", f.Changed, wrong(f.Root))
	}
	if got := string(f.Root.json); !strings.Contains(got, `"tags":["b","c"]`) {
		t.Errorf("after removing the first: %s", got)
	}
	f = newForm(json.RawMessage(approvalSchema), "Payload", sent("f/lines#", "1", "f/lines/0/sku", "x", "_add", "f/lines"), nil)
	at := slices.IndexFunc(f.Root.Fields, func(c *field) bool { return c.Name == "f/lines" })
	if c := f.Root.Fields[at]; c.Count != 2 || c.Fields[0].Fields[0].Value != "x" || c.Fields[1].Fields[0].Value != "" {
		t.Errorf("after adding one: %+v", c)
	}
	f = newForm(json.RawMessage(`{"type":"array","items":{"type":"string"},"minItems":2}`), "Payload", nil, nil)
	if f.Root.Count != 2 {
		t.Errorf("a list of at least two begins with %d", f.Root.Count)
	}
	f = newForm(json.RawMessage(`{"type":"array","items":{"type":"string"}}`), "Payload", sent("f#", "99999999"), nil)
	if f.Root.Count > maxItems {
		t.Errorf("a form with %d items", f.Root.Count)
	}
}

func TestFormSwitch(t *testing.T) {
	t.Parallel()
	schema := json.RawMessage(approvalSchema)
	f := newForm(schema, "Payload", sent("f/approved", "true", "f/comment", "x", "_switch", "json"), nil)
	if !f.JSON || !strings.Contains(f.Text, `"approved": true`) {
		t.Errorf("to JSON: %t, %s", f.JSON, f.Text)
	}
	f = newForm(schema, "Payload", sent("_as", "json", "_json", `{"approved":true,"comment":"y","days":null,"lines":[{"sku":"a","n":1}],"extra":{"k":"v"}}`, "_switch", "form"), nil)
	if f.JSON || f.Error != "" {
		t.Fatalf("to the form: %t, %s", f.JSON, f.Error)
	}
	want := `{"approved":true,"comment":"y","days":null,"lines":[{"sku":"a","n":1}],"extra":{` + "\n  " + `"k": "v"` + "\n}}"
	if string(f.Root.json) != want {
		t.Errorf("to the form:\n%s\nwant\n%s", f.Root.json, want)
	}
	for _, text := range []string{`{"approved":true,"unknown":1}`, `{"approved":"yes","comment":1}`, `[1]`, `{`} {
		f = newForm(schema, "Payload", sent("_as", "json", "_json", text, "_switch", "form"), nil)
		if !f.JSON || f.Error == "" {
			t.Errorf("%s: the form takes it, and would lose some of it", text)
		}
	}
}

func TestFormBegins(t *testing.T) {
	t.Parallel()
	f := newForm(json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer","default":3},"who":{"type":"string"}},"required":["n","who"]}`), "Input", nil, nil)
	if f.JSON || f.Root.Fields[0].Value != "3" || len(wrong(f.Root)) > 0 || f.Key == "" {
		t.Errorf("a new form: %+v", f)
	}
	f = newForm(json.RawMessage(approvalSchema), "Input", nil, json.RawMessage(`{"approved":true,"days":4}`))
	if string(f.Root.json) != `{"approved":true,"comment":"","days":4}` {
		t.Errorf("with a prefill: %s", f.Root.json)
	}
	f = newForm(json.RawMessage(approvalSchema), "Input", nil, json.RawMessage(`{"old":true}`))
	if !f.JSON || !strings.Contains(f.Text, `"old": true`) {
		t.Errorf("with a prefill that does not fit: %s", f.Text)
	}
}

func TestFormOfRecursiveSchema(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{
		`{"$ref":"#"}`,
		`{"type":"object","properties":{"next":{"$ref":"#"}}}`,
		`{"$defs":{"n":{"type":"object","properties":{"left":{"$ref":"#/$defs/n"},"right":{"$ref":"#/$defs/n"}}}},"$ref":"#/$defs/n"}`,
		`{"$ref":"https://example.com/schema"}`,
	} {
		f := newForm(json.RawMessage(schema), "Payload", nil, nil)
		if f.ids > 200 {
			t.Errorf("%s: a form of %d controls", schema, f.ids)
		}
	}
}

func FuzzForm(f *testing.F) {
	f.Add(approvalSchema, "f/approved=true&f/tags%23=2&f/tags/0=x&_key=0123456789012345", `{"approved":true}`)
	f.Add(`{"type":"array","items":{"type":"integer"}}`, "f%23=1&f/0=7&_remove=f/0&_key=0123456789012345", `[1]`)
	f.Add(`{"enum":[1,null,{"a":"b"}]}`, "_as=json&_json=7&_switch=form&_key=0123456789012345", `null`)
	f.Fuzz(func(t *testing.T, schema, query, prefill string) {
		values, _ := url.ParseQuery(query)
		if !json.Valid([]byte(prefill)) {
			prefill = ""
		}
		form := newForm(json.RawMessage(schema), "Payload", values, json.RawMessage(prefill))
		if payload, ok := form.Payload(); ok && !json.Valid(payload) {
			t.Errorf("the form does not produce JSON: %q", payload)
		}
	})
}
