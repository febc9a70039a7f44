package schema

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Example is JSON that fits a schema, as far as that can be said without knowing what its texts
// mean, for somebody to edit.
func (n *Node) Example() string {
	switch {
	case len(n.Default) > 0:
		return string(n.Default)
	case len(n.Enum) > 0:
		return string(n.Enum[0])
	}
	switch i := slices.IndexFunc(n.Types, func(t string) bool { return t != "null" }); {
	case i < 0:
		return "null"
	case n.Types[i] == "string":
		return n.exampleText()
	case n.Types[i] == "integer", n.Types[i] == "number":
		return n.exampleNumber()
	case n.Types[i] == "boolean":
		return "true"
	case n.Types[i] == "array":
		return n.exampleList()
	case n.Types[i] == "object":
		var fields []string
		for _, p := range n.Properties {
			if n.Requires(p.Name) {
				key, _ := json.Marshal(p.Name) // a string never fails
				fields = append(fields, string(key)+": "+p.Schema.Example())
			}
		}
		return "{" + strings.Join(fields, ", ") + "}"
	}
	return "null"
}

func (n *Node) exampleText() string {
	if f := formats[n.Format]; f != nil {
		_, text, _ := strings.Cut(f.what, "such as ")
		return `"` + text + `"`
	}
	switch {
	case n.ContentEncoding != "":
		return `""`
	case n.MinLength > 1:
		return `"` + strings.Repeat("…", min(n.MinLength, 100)) + `"`
	}
	return `"…"`
}

func (n *Node) exampleNumber() string {
	for _, try := range []string{"0", string(n.Minimum), string(n.Maximum), string(n.MultipleOf), above(n.Above)} {
		if try != "" && n.Own([]byte(try)) == "" {
			return try
		}
	}
	return "0"
}

func above(limit json.Number) string {
	v, err := limit.Int64()
	if err != nil {
		return ""
	}
	return fmt.Sprint(v + 1)
}

func (n *Node) exampleList() string {
	if n.MinItems == 0 || n.Items == nil {
		return "[]"
	}
	items := make([]string, min(n.MinItems, 10))
	for i := range items {
		items[i] = n.Items.Example()
	}
	return "[" + strings.Join(items, ", ") + "]"
}
