package schema_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/internal/schema"
)

type (
	urgency  string
	decision struct {
		Approved bool              `json:"approved" title:"May it go out?"`
		Urgency  urgency           `json:"urgency"`
		Copies   int               `json:"copies" minimum:"1" maximum:"5" default:"1"`
		Share    *float64          `json:"share,omitempty" exclusiveMinimum:"0" multipleOf:"0.5"`
		Reviewer string            `json:"reviewer" format:"email" jsonschema:"The one to ask"`
		Due      time.Time         `json:"due"`
		Code     string            `json:"code,omitempty" pattern:"^[A-Z]{3}$"`
		Colors   []string          `json:"colors,omitempty" enum:"red, green" maxItems:"2" uniqueItems:"true"`
		Limits   map[string]uint8  `json:"limits,omitempty" maximum:"9"`
		Note     string            `json:"note,omitempty" contentMediaType:"text/plain" maxLength:"10"`
		More     map[string]string `json:"more,omitempty"`
	}
)

func (urgency) Schema() json.RawMessage {
	return json.RawMessage(`{"type": "string", "oneOf": [{"const": "low", "title": "It can wait"}, {"const": "high"}]}`)
}

func TestTags(t *testing.T) {
	t.Parallel()
	if err := schema.Err(reflect.TypeFor[decision]()); err != nil {
		t.Fatal(err)
	}
	const want = `{"type":"object","properties":{` +
		`"approved":{"type":"boolean","title":"May it go out?"},` +
		`"urgency":{"type":"string","oneOf":[{"const":"low","title":"It can wait"},{"const":"high"}]},` +
		`"copies":{"type":"integer","default":1,"minimum":1,"maximum":5},` +
		`"share":{"type":["null","number"],"exclusiveMinimum":0,"multipleOf":0.5},` +
		`"reviewer":{"type":"string","description":"The one to ask","format":"email"},` +
		`"due":{"type":"string","format":"date-time"},` +
		`"code":{"type":"string","pattern":"^[A-Z]{3}$"},` +
		`"colors":{"type":["null","array"],"items":{"type":"string","enum":["red","green"]},"maxItems":2,"uniqueItems":true},` +
		`"limits":{"type":["null","object"],"additionalProperties":{"type":"integer","minimum":0,"maximum":9}},` +
		`"note":{"type":"string","maxLength":10,"contentMediaType":"text/plain"},` +
		`"more":{"type":["null","object"],"additionalProperties":{"type":"string"}}},` +
		`"required":["approved","urgency","copies","reviewer","due"],"additionalProperties":false}`
	if diff := cmp.Diff(want, string(schema.Of(reflect.TypeFor[decision]()))); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
	if !schema.Declares(reflect.TypeFor[decision]()) || schema.Declares(reflect.TypeFor[order]()) || !schema.Declares(reflect.TypeFor[[]urgency]()) {
		t.Error("which types declare something is wrong")
	}
}

type private struct{}

func (private) MarshalJSON() ([]byte, error) { return []byte("1"), nil }

type (
	panics  struct{ in *int }
	broken  struct{}
	refers  struct{}
	unsound struct{}
)

func (p panics) Schema() json.RawMessage { return json.RawMessage(string(rune(*p.in))) }
func (broken) Schema() json.RawMessage   { return json.RawMessage(`{"type": "string"`) }
func (refers) Schema() json.RawMessage {
	return json.RawMessage(`{"$ref": "#/$defs/a", "$defs": {"a": {}}}`)
}
func (*unsound) Schema() json.RawMessage { return json.RawMessage(`{"type": "strnig"}`) }

// What is wrong with a type is said with the field and the tag.
func TestErr(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		v    any
		want string
	}{
		{struct {
			N int `minimum:"one"`
		}{}, `.N: tag minimum:"one": it is not a number`},
		{struct {
			N int `minimum:"5" maximum:"1"`
		}{}, `.N: minimum 5 is more than maximum 1`},
		{struct {
			S string `minimum:"5"`
		}{}, `.S: tag minimum:"5": it is for numbers, and this is a string`},
		{struct {
			N int `format:"email"`
		}{}, `.N: tag format:"email": it is for texts, and this is an integer`},
		{struct {
			S string `format:"emial"`
		}{}, `.S: tag format:"emial": there is no such format: there are date, date-time,`},
		{struct {
			S string `pattern:"("`
		}{}, `.S: tag pattern:"(": it is not a regular expression`},
		{struct {
			N int `enum:"1,two"`
		}{}, `.N: tag enum:"1,two": "two" is not JSON`},
		{struct {
			N int `default:"9" maximum:"5"`
		}{}, `.N: tag default:"9": it has to be at most 5`},
		{struct {
			N int `minItems:"1"`
		}{}, `.N: tag minItems:"1": it is for slices`},
		{struct {
			S []string `minItems:"-1"`
		}{}, `.S: tag minItems:"-1": it is not a number of them`},
		{struct {
			P private `format:"date"`
		}{}, `.P: tag format:"date": it is for texts, and this is of a type that encodes itself`},
		{struct {
			In struct {
				S string `maxLength:"x"`
			}
		}{}, `.S: tag maxLength:"x": it is not a number of them`},
		{panics{}, "schema_test.panics.Schema: it panics on the zero value"},
		{[]broken{}, "schema_test.broken.Schema: it is not JSON"},
		{[]refers{}, `schema_test.refers.Schema: "$ref" is possible only in the schema of the whole value`},
		{refers{}, ""},
		{unsound{}, `schema_test.unsound.Schema: there is no type "strnig"`},
		{&unsound{}, `schema_test.unsound.Schema: there is no type "strnig"`},
		{decision{}, ""},
	} {
		err := schema.Err(reflect.TypeOf(tt.v))
		if err == nil && tt.want == "" {
			continue
		}
		if err == nil || tt.want == "" || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%T: %v; want %s", tt.v, err, tt.want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const fits = `{"approved":true,"urgency":"low","copies":2,"reviewer":"ada@example.com","due":"2026-03-01T14:30:00Z"}`
	with := func(member string) string { return fits[:len(fits)-1] + "," + member + "}" }
	without := func(member string) string { return strings.Replace(fits, member, "", 1) }
	for _, tt := range []struct{ payload, want string }{
		{fits, ""},
		{with(`"share":1.5,"code":"ABC","colors":["red"],"limits":{"a":9},"note":"ä€","more":{"x":"y"}`), ""},
		{with(`"share":null,"colors":null`), ""},
		{without(`"approved":true,`), ""}, // as Go reads it, false
		{without(`"copies":2,`), "copies: this is needed"},
		{without(`"urgency":"low",`), "urgency: this is needed"},
		{without(`"reviewer":"ada@example.com",`), "reviewer: this is needed"},
		{strings.Replace(fits, `2,`, `null,`, 1), "copies: this is needed"},
		{strings.Replace(fits, `2,`, `6,`, 1), "copies: it has to be at most 5"},
		{strings.Replace(fits, `2,`, `1.5,`, 1), "copies: it has to be a whole number, such as 42"},
		{strings.Replace(fits, `2,`, `"2",`, 1), "copies: it has to be a whole number, such as 42"},
		{strings.Replace(fits, `"low"`, `"medium"`, 1), "urgency: it has to be one of low, high"},
		{strings.Replace(fits, `ada@`, `ada at `, 1), "reviewer: it has to be an email address, such as ada@example.com"},
		{strings.Replace(fits, `T14:30:00Z`, ``, 1), "due: it has to be a date and time with a zone, such as 2026-03-01T14:30:00Z"},
		{with(`"share":0`), "share: it has to be more than 0"},
		{with(`"share":0.7`), "share: it has to be a multiple of 0.5"},
		{with(`"share":1e99999`), "share: it is too large or too small to be compared"},
		{with(`"share":0.` + strings.Repeat("3", 1<<20)), "share: it has too many digits to be compared"},
		{with(`"code":"abc"`), "code: it does not have the right form, ^[A-Z]{3}$"},
		{with(`"colors":["red","blue"]`), "colors[1]: it has to be one of red, green"},
		{with(`"colors":["red","red"]`), `colors: the same is in it twice: "red"`},
		{with(`"colors":["red","red","red"]`), "colors: it has to have at most 2 items, and has 3"},
		{with(`"limits":{"a":1,"b":10}`), "limits.b: it has to be at most 9"},
		{with(`"note":"longer than that"`), "note: it has to be at most 10 characters long, and is 16"},
		{with(`"unknown":1`), `unknown: there is no field "unknown"`},
		{with(`"Note":""`), `Note: there is no field "Note": it is written "note"`},
		{`[]`, "it has to be an object"},
		{`{"copies":0,"urgency":"x"}`, "copies: it has to be at least 1; urgency: it has to be one of low, high; reviewer: this is needed; due: this is needed"},
	} {
		got := ""
		if err := schema.Check([]byte(tt.payload), reflect.TypeFor[decision]()); err != nil {
			got = err.Error()
		}
		if sorted(got) != sorted(tt.want) {
			t.Errorf("%s: %q, want %q", tt.payload, got, tt.want)
		}
	}
	var wrong schema.Errors
	if err := schema.Parse([]byte(`{"type":"array","items":{"type":"object","properties":{"n":{"type":"integer"}}}}`)).Check([]byte(`[{},{"n":"x"}]`)); err != nil {
		wrong, _ = errors.AsType[schema.Errors](err)
	}
	if len(wrong) != 1 || wrong.Field() != "[1].n" {
		t.Errorf("errors %v", wrong)
	}
}

func sorted(text string) string {
	parts := strings.Split(text, "; ")
	for range parts {
		for i := 1; i < len(parts); i++ {
			if parts[i] < parts[i-1] {
				parts[i], parts[i-1] = parts[i-1], parts[i]
			}
		}
	}
	return strings.Join(parts, "; ")
}

func TestExamplesFit(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		string(schema.Of(reflect.TypeFor[decision]())), string(schema.Of(reflect.TypeFor[order]())),
		`{"type":"array","items":{"type":"string","minLength":3},"minItems":2}`, `{"type":"number","exclusiveMinimum":7}`, `{"type":"integer","maximum":-5}`,
		`{"type":["null","object"],"properties":{"at":{"type":"string","format":"date"}},"required":["at"]}`,
	} {
		n := schema.Parse([]byte(text))
		if err := n.Check([]byte(n.Example())); err != nil {
			t.Errorf("example %s of %s: %v", n.Example(), text, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(string(schema.Of(reflect.TypeFor[decision]())), `{"copies":1e400,"colors":["red","red"]}`)
	f.Add(`{"$ref":"#","anyOf":[{"const":1},{"const":"1"}]}`, `[{"a":null}]`)
	f.Fuzz(func(t *testing.T, text, payload string) {
		if !json.Valid([]byte(payload)) {
			return
		}
		n := schema.Parse([]byte(text))
		if err := n.Check([]byte(payload)); err != nil && err.Error() == "" {
			t.Error("an error without a text")
		}
		_ = n.Example()
	})
}
