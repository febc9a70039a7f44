package main

import "testing"

func TestExample(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]string{
		``:                              `JSON`,
		`{"type": 7`:                    `JSON`,
		`{"anyOf":[{"type":"string"}]}`: `JSON`,
		`{}`:                            `null`,
		`{"type":["null","array"]}`:     `[]`,
		`{"type":"object"}`:             `{}`,
		`{"enum":["yes","no"]}`:         `"yes"`,
		`{"$ref":"#/$defs/n","$defs":{"n":{"type":"integer"}}}`: `0`,
		`{"type":"object","required":["ok","in"],"properties":{"ok":{"type":"boolean"},"note":{"type":"string"},
			"in":{"type":"object","required":["text"],"properties":{"text":{"type":"string"}}}}}`: `{"ok": true, "in": {"text": "…"}}`,
	} {
		if got := example([]byte(schema)); got != want {
			t.Errorf("example of %s is %s, want %s", schema, got, want)
		}
	}
}
