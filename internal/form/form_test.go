package form

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/internal/schema"
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
		"any": {},
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
		{"the least", approvalSchema, sent("f/approved", "false", "f/comment", "no"), `{"approved":false,"comment":"no","days":null}`, nil},
		{"a required text is filled in", approvalSchema, sent("f/approved", "false", "f/comment", " "), "", []string{"f/comment"}},
		{"nothing chosen", approvalSchema, sent("f/comment", "fine"), "", []string{"f/approved"}},
		{
			"all", approvalSchema, sent("f/approved", "true", "f/comment", "a\r\nb", "f/amount", "12.50", "f/days", "7", "f/urgency", "3",
				"f/tags#", "2", "f/tags/0", "x", "f/tags/1", "y", "f/lines#", "1", "f/lines/0/sku", "loom", "f/lines/0/n", "2",
				"f/terms/net", "30", "f/extra#", "1", "f/extra/0@", "k", "f/extra/0", "v", "f/any", ` {"k": "v"} `, "f/a~1b~0c~2d", "odd"),
			`{"approved":true,"comment":"a\nb","amount":12.50,"days":7,"urgency":3,"tags":["x","y"],"lines":[{"sku":"loom","n":2}],"terms":{"net":30},"extra":{"k":"v"},"any":{"k": "v"},"a/b~c#d":"odd"}`, nil,
		},
		{"numbers", approvalSchema, sent("f/comment", "x", "f/approved", "true", "f/amount", "1,5", "f/days", "1.5"), "", []string{"f/amount", "f/days"}},
		{"no such choice", approvalSchema, sent("f/comment", "x", "f/approved", "maybe", "f/urgency", `"medium"`), "", []string{"f/approved", "f/urgency"}},
		{"an item without its field", approvalSchema, sent("f/comment", "x", "f/approved", "true", "f/lines#", "1", "f/lines/0/sku", "x"), "", []string{"f/lines/0/n"}},
		{"an optional object in part", approvalSchema, sent("f/comment", "x", "f/approved", "true", "f/terms/note", "x"), "", []string{"f/terms/net"}},
		{"JSON in a field", approvalSchema, sent("f/comment", "x", "f/approved", "true", "f/any", "{k: 1}"), "", []string{"f/any"}},
		{"large numbers stay what they are", `{"type":"integer"}`, sent("f", "123456789012345678901234567890"), "123456789012345678901234567890", nil},
		{"a string", `{"type":"string"}`, sent("f", "<b>"), `"<b>"`, nil},
		{"a string that may not be empty", `{"type":"string","minLength":1}`, sent("f", ""), "", []string{"f"}},
		{"as JSON", approvalSchema, sent("_as", "json", "_json", `{"approved": true}`), `{"approved": true}`, nil},
		{"as JSON that does not fit", approvalSchema, sent("_as", "json", "_json", `{"approved": 1}`), "", nil},
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

func newForm(schema json.RawMessage, label string, values url.Values, prefill json.RawMessage) *Form {
	return New(Options{Schema: schema, Label: label, Values: values, Prefill: prefill})
}

func wrong(c *Field) []string {
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
	at := slices.IndexFunc(f.Root.Fields, func(c *Field) bool { return c.Name == "f/lines" })
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
	f = newForm(schema, "Payload", sent("_as", "json", "_json", `{"approved":true,"comment":"y","days":null,"lines":[{"sku":"a","n":1}],"any":{"k":"v"}}`, "_switch", "form"), nil)
	if f.JSON || f.Error != "" {
		t.Fatalf("to the form: %t, %s", f.JSON, f.Error)
	}
	want := `{"approved":true,"comment":"y","days":null,"lines":[{"sku":"a","n":1}],"any":{` + "\n  " + `"k": "v"` + "\n}}"
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
	if string(f.Root.json) != `{"approved":true,"days":4}` {
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
	f.Add(`{"type":"object","additionalProperties":{"type":"string","format":"date-time"}}`, "f%23=2&f/0%40=a&f/0=2026-03-29T02:30&f/1%40=b&f/1=2026-10-25T02:30&_zone=Europe/Berlin&_key=0123456789012345", `{"a":"2026-03-01T14:30:00Z"}`)
	f.Add(`{"type":"object","properties":{"a":{"type":"number","minimum":1,"multipleOf":0.5},"b":{"type":"string","pattern":"^x","maxLength":3}},"required":["a"]}`, "f/a=1.5&f/b=xy&_key=0123456789012345", ``)
	f.Add(`{"type":["null","string"],"contentEncoding":"base64"}`, "f=data:text/plain%3Bname=a%2520b%3Bbase64,YQ%3D%3D&_key=0123456789012345", `"YQ=="`)
	f.Add(`{"type":"object","format":"file","properties":{"name":{"type":"string"},"data":{"type":"string"}}}`, "f=data:text/plain%3Bname=a%3Bbase64,YQ%3D%3D&_remove=f&_key=0123456789012345", `{"data":"YQ=="}`)
	f.Add(`{"enum":[1,null,{"a":"b"}]}`, "_as=json&_json=7&_switch=form&_key=0123456789012345", `null`)
	pages := template.Must(template.Must(template.New("page").Parse(`<form>{{template "form" .}}{{template "form-buttons" .}}{{template "switch" .}}</form>`)).ParseFS(Templates, "templates/*.html"))
	f.Fuzz(func(t *testing.T, text, query, prefill string) {
		values, _ := url.ParseQuery(query)
		if !json.Valid([]byte(prefill)) {
			prefill = ""
		}
		form := New(Options{Schema: json.RawMessage(text), Label: "Payload", Values: values, Prefill: json.RawMessage(prefill), Buttons: len(query)%2 == 0, Plain: len(query)%3 == 0})
		payload, ok := form.Payload()
		if !ok {
			return
		}
		if !json.Valid(payload) {
			t.Errorf("the form does not produce JSON: %q", payload)
		}
		if err := schema.Parse(json.RawMessage(text)).Check(payload); err != nil && form.strict {
			t.Errorf("the form produces what does not fit: %s: %v", payload, err)
		}
		var page strings.Builder
		if err := pages.ExecuteTemplate(&page, "page", form); err != nil {
			t.Error(err)
		}
	})
}

func TestTimesHaveAZone(t *testing.T) {
	t.Parallel()
	at := json.RawMessage(`{"type":"string","format":"date-time"}`)
	for _, tt := range []struct{ value, zone, want, wrong string }{
		{"2026-03-01T14:30", "", `"2026-03-01T14:30:00Z"`, ""},
		{"2026-03-01T14:30", "Europe/Berlin", `"2026-03-01T14:30:00+01:00"`, ""},
		{"2026-07-01T14:30:15.25", "Europe/Berlin", `"2026-07-01T14:30:15.25+02:00"`, ""},
		{"2026-07-01 14:30", "America/New_York", `"2026-07-01T14:30:00-04:00"`, ""},
		{"2026-07-01T14:30", "+05:30", `"2026-07-01T14:30:00+05:30"`, ""},
		{"2026-07-01T14:30:00-02:00", "Europe/Berlin", `"2026-07-01T14:30:00-02:00"`, ""},
		{"2026-03-29T02:30", "Europe/Berlin", "", "There is no such time in Europe/Berlin: the clocks go forward then."},
		{"2026-10-25T02:30", "Europe/Berlin", "", "It is this time twice in Europe/Berlin, because the clocks go back then: choose +02:00 or +01:00 as the time zone."},
		{"2026-10-25T02:30", "+01:00", `"2026-10-25T02:30:00+01:00"`, ""},
		{"1880-01-01T00:00", "Europe/Berlin", `"1879-12-31T23:06:32Z"`, ""},
		{"tomorrow", "Europe/Berlin", "", "It has to be a date and a time, such as 2026-03-01 14:30."},
		{"2026-03-01T14:30", "Mars/Olympus", `"2026-03-01T14:30:00Z"`, ""}, // the form shows UTC then
		{"", "UTC", "", "This is needed."},
	} {
		f := New(Options{Schema: at, Values: sent("f", tt.value, "_zone", tt.zone)})
		got, ok := f.Payload()
		if string(got) != tt.want || ok != (tt.want != "") || f.Root.Error != tt.wrong {
			t.Errorf("%s in %s: %s, %q; want %s, %q", tt.value, tt.zone, got, f.Root.Error, tt.want, tt.wrong)
		}
		if !f.Times || len(f.Zones) < 400 || !slices.Contains(f.Zones, f.Zone) {
			t.Errorf("%s in %s: the form has no zones to choose from, or not its own", tt.value, tt.zone)
		}
		if strings.Contains(tt.wrong, "twice") && f.Zones[0] != "+02:00" {
			t.Errorf("the zones to choose from begin with %v", f.Zones[:2])
		}
	}
	f := New(Options{Schema: at, Prefill: json.RawMessage(`"2026-07-01T12:30:00Z"`), Zone: "Europe/Berlin"})
	if f.Root.Value != "2026-07-01T14:30" || f.Guess {
		t.Errorf("a prefill is shown as %s, and the zone may be guessed: %t", f.Root.Value, f.Guess)
	}
	if f = New(Options{Schema: at}); !f.Guess || f.Zone != "UTC" {
		t.Errorf("a new form is in %s; the browser may put its own in: %t", f.Zone, f.Guess)
	}
}

func TestZonesExist(t *testing.T) {
	t.Parallel()
	for _, name := range zones {
		if _, ok := location(name); !ok {
			t.Errorf("there is no zone %s", name)
		}
	}
}

func TestConstraintsInPlainWords(t *testing.T) {
	t.Parallel()
	const text = `{"type":"object","properties":{
		"email":{"type":"string","format":"email"},
		"site":{"type":"string","format":"uri"},
		"day":{"type":"string","format":"date"},
		"copies":{"type":"integer","minimum":1,"maximum":5},
		"code":{"type":"string","pattern":"^[A-Z]{3}$"},
		"tags":{"type":"array","items":{"type":"string"},"minItems":1,"uniqueItems":true},
		"urgency":{"oneOf":[{"const":"low","title":"It can wait"},{"const":"high","title":"At once"}]}
	},"required":["email","urgency"],"additionalProperties":false}`
	f := New(Options{Schema: json.RawMessage(text), Values: sent("f/email", "ada", "f/site", "example.com", "f/day", "1.3.2026", "f/copies", "9", "f/code", "abc", "f/tags#", "2", "f/tags/0", "x", "f/tags/1", "x")})
	got := map[string]string{}
	for _, c := range f.Wrong() {
		got[c.Path] = c.Error
	}
	want := map[string]string{
		"email":   "It has to be an email address, such as ada@example.com.",
		"site":    "It has to be a link, such as https://example.com/page.",
		"day":     "It has to be a date, such as 2026-03-01.",
		"copies":  "It has to be at most 5.",
		"code":    "It does not have the right form, ^[A-Z]{3}$.",
		"tags":    `The same is in it twice: "x".`,
		"urgency": "This is needed.",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if c := f.Root.Fields[6]; c.Choices[0].Label != "It can wait" || c.Choices[0].Value != `"low"` {
		t.Errorf("choices: %+v", c.Choices)
	}
	if _, ok := f.Payload(); ok {
		t.Error("the form has a payload")
	}
}

func TestMaps(t *testing.T) {
	t.Parallel()
	const text = `{"type":"object","properties":{"limits":{"type":"object","additionalProperties":{"type":"array","items":{"type":"integer"}}}}}`
	values := sent("f/limits#", "2", "f/limits/0@", "a/b", "f/limits/0#", "2", "f/limits/0/0", "1", "f/limits/0/1", "2", "f/limits/1@", "c", "f/limits/1#", "1", "f/limits/1/0", "3")
	f := New(Options{Schema: json.RawMessage(text), Values: values})
	if got, ok := f.Payload(); !ok || string(got) != `{"limits":{"a/b":[1,2],"c":[3]}}` {
		t.Errorf("payload %s, %t: %v", got, ok, f.Wrong())
	}
	values.Set("_remove", "f/limits/0")
	if f = New(Options{Schema: json.RawMessage(text), Values: values}); string(f.Root.json) != `{"limits":{"c":[3]}}` {
		t.Errorf("after removing the first: %s", f.Root.json)
	}
	values.Del("_remove")
	values.Set("f/limits/1@", "a/b")
	f = New(Options{Schema: json.RawMessage(text), Values: values})
	if w := f.Wrong(); len(w) != 1 || w[0].MemberError != "There is another one with the name a/b." {
		t.Errorf("a name twice: %+v", w)
	}
	f = New(Options{Schema: json.RawMessage(text), Prefill: json.RawMessage(`{"limits":{"a":[1],"b":[]}}`)})
	if f.JSON || string(f.Root.json) != `{"limits":{"a":[1],"b":[]}}` {
		t.Errorf("with a prefill: %t, %s", f.JSON, f.Root.json)
	}
}

func TestButtons(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ schema, buttons string }{
		{approvalSchema, "f/approved"},
		{`{"type":"boolean"}`, "f"},
		{`{"enum":["yes","no"]}`, "f"},
		{`{"enum":["a","b","c","d","e"]}`, ""},
		{`{"type":"object","properties":{"sure":{"type":"boolean"}}}`, ""}, // it can be left out
		{`{"type":"string"}`, ""},
	} {
		f := New(Options{Schema: json.RawMessage(tt.schema), Buttons: true, Plain: true})
		got := ""
		if f.Buttons != nil {
			got = f.Buttons.Name
		}
		if got != tt.buttons {
			t.Errorf("%s: buttons for %q, want %q", tt.schema, got, tt.buttons)
		}
	}
	f := New(Options{Schema: json.RawMessage(approvalSchema), Buttons: true, Plain: true, Values: sent("f/comment", "x")})
	if _, ok := f.Payload(); ok || len(f.Wrong()) != 1 || f.Wrong()[0] != f.Buttons {
		t.Errorf("without a choice: %+v", f.Wrong())
	}
	f = New(Options{Schema: json.RawMessage(approvalSchema), Buttons: true, Plain: true, Values: sent("f/comment", "x", "f/approved", "true")})
	if got, ok := f.Payload(); !ok || string(got) != `{"approved":true,"comment":"x","days":null}` {
		t.Errorf("with a choice: %s, %t", got, ok)
	}
}

type fieldError struct{ field, text string }

func (e fieldError) Error() string { return e.text }
func (e fieldError) Field() string { return e.field }

func TestBlame(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		at   []string
		form string
	}{
		{errors.New("amount is more than 1000: that takes a director"), []string{"f/amount"}, ""},
		{errors.New("the amounts don't add up"), nil, "The amounts don't add up."},
		{fieldError{"lines[1].sku", "there is no loom"}, []string{"f/lines/1/sku"}, ""},
		{fieldError{"nothing", "the comment is rude"}, nil, "The comment is rude."},
	} {
		f := New(Options{Schema: json.RawMessage(approvalSchema), Values: sent("f/approved", "true", "f/comment", "x",
			"f/lines#", "2", "f/lines/0/sku", "a", "f/lines/0/n", "1", "f/lines/1/sku", "b", "f/lines/1/n", "1")})
		if _, ok := f.Payload(); !ok {
			t.Fatal(wrong(f.Root))
		}
		f.Blame(fmt.Errorf("wrapped: %w", tt.err))
		f.Blame(tt.err)
		if diff := cmp.Diff(tt.at, wrong(f.Root)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.err, diff)
		}
	}
}

// With a schema, facts have the names and the choices of the form.
func TestFactsOf(t *testing.T) {
	t.Parallel()
	s := json.RawMessage(`{"type":"object","properties":{
		"ok":{"type":"boolean","title":"May she go?"},"class":{"oneOf":[{"const":1,"title":"First class"},{"const":2}]},
		"legs":{"type":"array","items":{"type":"object","properties":{"from_city":{"type":"string","title":"From"}}}},
		"budget":{"type":"object","additionalProperties":{"type":"integer"}}}}`)
	got := FactsOf(s, json.RawMessage(`{"ok":false,"class":1,"legs":[{"from_city":"Lyon"}],"budget":{"night_train":80},"more_than_that":2}`))
	want := []Fact{
		{Label: "May she go?", Value: "No"},
		{Label: "Class", Value: "First class"},
		{Label: "Legs", Facts: []Fact{{Label: "1", Facts: []Fact{{Label: "From", Value: "Lyon"}}}}},
		{Label: "Budget", Facts: []Fact{{Label: "night_train", Value: "80"}}},
		{Label: "More than that", Value: "2"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	got := Facts(json.RawMessage(`{"title": "Looms <b>", "doc_id": 7, "paid": true, "page": "https://example.com/a?b=c&d=<", "link": "https://example.com/a?b=c",
		"tricks": ["javascript:alert(1)", "http://example.com/", "https://good.example@evil.example/", "//evil.example", "https://exämple.com/", "HTTPS://example.com/"],
		"lines": [{"sku": "x"}], "deep": {"a": {"b": {"c": {"d": {"e": 1}}}}}, "none": null, "empty": {}}`))
	want := []Fact{
		{Label: "Title", Value: "Looms <b>"},
		{Label: "Doc id", Value: "7"},
		{Label: "Paid", Value: "Yes"},
		{Label: "Page", Value: "https://example.com/a?b=c&d=<"},
		{Label: "Link", Value: "https://example.com/a?b=c", Link: "https://example.com/a?b=c", Host: "example.com"},
		{Label: "Tricks", Facts: []Fact{
			{Value: "javascript:alert(1)"},
			{Value: "http://example.com/"},
			{Value: "https://good.example@evil.example/"},
			{Value: "//evil.example"},
			{Value: "https://exämple.com/"},
			{Value: "HTTPS://example.com/", Link: "https://example.com/", Host: "example.com"},
		}},
		{Label: "Lines", Facts: []Fact{{Label: "1", Facts: []Fact{{Label: "Sku", Value: "x"}}}}},
		{Label: "Deep", Facts: []Fact{{Label: "A", Facts: []Fact{{Label: "B", Facts: []Fact{{Label: "C", Value: `{"d":{"e":1}}`}}}}}}},
		{Label: "None", Value: "None"},
		{Label: "Empty", Value: "None"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	if got := Facts(json.RawMessage(`"hello"`)); len(got) != 1 || got[0].Value != "hello" {
		t.Errorf("of a text: %+v", got)
	}
	if got := Facts(json.RawMessage("[" + strings.Repeat("1,", 5000) + "1]")); len(got) > maxFacts {
		t.Errorf("%d facts", len(got))
	}
	for _, nothing := range []string{"", " ", "{"} {
		if got := Facts(json.RawMessage(nothing)); got != nil {
			t.Errorf("of %q: %+v", nothing, got)
		}
	}
}

func FuzzFacts(f *testing.F) {
	f.Add(`{"a":["https://example.com",{"b":null}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var look func([]Fact)
		look = func(all []Fact) {
			for _, fact := range all {
				if fact.Link != "" && (!strings.HasPrefix(fact.Link, "https://") || fact.Host == "") {
					t.Errorf("a link to %q at %q", fact.Link, fact.Host)
				}
				look(fact.Facts)
			}
		}
		look(Facts(json.RawMessage(text)))
	})
}

func TestLine(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		``:                                   "",
		`"a\n b"`:                            "a b",
		`{"docId":7,"to":{"name":"Ada"}}`:    "Doc id: 7 · To Name: Ada",
		`["x","y"]`:                          "x · y",
		`"` + strings.Repeat("x", 500) + `"`: strings.Repeat("x", 119) + "…",
	} {
		if got := Line(json.RawMessage(data)); got != want {
			t.Errorf("%s is %q, want %q", data, got, want)
		}
	}
}

// What a form has no control for does not fill it, or anything in it: whoever sends one can add what they
// like.
func TestFormHasItsControlsAlone(t *testing.T) {
	t.Parallel()
	values := sent("f/approved", "true", "f/comment", "x")
	for _, name := range []string{
		"f", "f#", "f@", "f/", "f/terms", "f/terms/other", "f/terms/net/0", "f/terms/note#", "f/terms#", "f/zz", "f/lines/00/sku", "f/lines/1000/sku",
		"f/lines/-1/sku", "f/lines/x/sku", "f/lines/0", "f/lines/0@", "f/extra/0@/x", "f/tags/0#", "f/any/0", "f/a~1b~0c~2d/0", "f" + strings.Repeat("/", 1<<20),
	} {
		values.Set(name, "1")
	}
	values.Set("f/"+strings.Repeat("x", 1<<20), "1")
	f := newForm(json.RawMessage(approvalSchema), "Payload", values, nil)
	if got, ok := f.Payload(); !ok || string(got) != `{"approved":true,"comment":"x","days":null}` {
		t.Errorf("payload is %s, %t: %v", got, ok, wrong(f.Root))
	}
	if len(f.draft) != 2 {
		t.Errorf("the form keeps %d values", len(f.draft))
	}
	for _, change := range []string{"_add", "_remove"} {
		f = newForm(json.RawMessage(approvalSchema), "Payload", sent("f/approved", "true", "f/comment", "x", change, "f/terms/other/0"), nil)
		if len(f.draft) != 2 || !f.Changed {
			t.Errorf("after %s the form keeps %d values, changed %t", change, len(f.draft), f.Changed)
		}
	}
}

// What is sent once is not copied for each field: names of members of a map are in the paths of all that
// is in these, and an error may be at every item. The test counts allocations, so it is alone.
func TestFormCostsWhatIsSent(t *testing.T) {
	const text = `{"type":"object","properties":{
		"labels":{"type":"object","additionalProperties":{"type":"array","items":{"type":"string"}}},
		"when":{"type":"array","items":{"type":"string","format":"date-time"}}
	},"additionalProperties":false}`
	const items = 1000
	long := strings.Repeat("x", 1<<20)
	values := sent("f/labels#", "1", "f/labels/0@", long, "f/labels/0#", fmt.Sprint(items), "f/when#", fmt.Sprint(items), "_zone", "Europe/Berlin")
	for i := range items {
		values.Set(fmt.Sprintf("f/labels/0/%d", i), "a")
		values.Set(fmt.Sprintf("f/when/%d", i), "2026-10-25T04:30")
	}
	f := New(Options{Schema: json.RawMessage(text), Values: values})
	if _, ok := f.Payload(); !ok {
		t.Fatalf("the form is not right: %v", wrong(f.Root))
	}
	if made := testing.AllocsPerRun(1, func() { f.Blame(errors.New("when and " + long + ": no good")) }); made > 4*items {
		t.Errorf("to show an error makes %.0f objects", made)
	}
	shown := 0
	for c := range f.Root.all() {
		if len(c.Path) > 500 || len(c.Error) > 5*maxError {
			t.Fatalf("a path of %d bytes, an error of %d", len(c.Path), len(c.Error))
		}
		if strings.HasPrefix(c.Error, "When and xxx") {
			shown++
		}
	}
	if shown != items {
		t.Errorf("the error is at %d fields", shown)
	}
	for i := range items {
		values.Set(fmt.Sprintf("f/when/%d", i), "2026-10-25T02:30") // it is twice
	}
	f = New(Options{Schema: json.RawMessage(text), Values: values})
	if len(f.Zones) > len(zones)+2 || f.Zones[0] != "+02:00" {
		t.Errorf("there are %d zones to choose from, beginning with %v", len(f.Zones), f.Zones[:3])
	}
}

func TestNamesInErrors(t *testing.T) {
	t.Parallel()
	schema := json.RawMessage(`{"type":"object","properties":{"due_date":{"type":"string"},"über":{"type":"string"},"no":{"type":"string"}}}`)
	for text, want := range map[string]string{
		"due_date is over": "due_date", "the Due_Date, of all": "due_date", "due_dates are over": "", "a_due_date": "", "xdue_date due_date": "due_date",
		"it is Über": "über", "darüber": "", "no": "", "": "",
	} {
		f := newForm(schema, "", sent(), nil)
		f.Blame(errors.New(text))
		var got strings.Builder
		for _, c := range f.Wrong() {
			got.WriteString(c.Path)
		}
		if got.String() != want {
			t.Errorf("%q is about %q, want %q", text, got.String(), want)
		}
	}
}
