package form

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tenter-dev/tenter/internal/schema"
)

// place is where a value is in the payload.
type place struct {
	name     string // of its control
	path     string
	label    string
	required bool
}

// build makes the field of a schema, and what it amounts to.
func (f *Form) build(s *schema.Node, at place) *Field {
	f.ids++
	c := &Field{
		Kind: kindOf(s), Name: at.name, ID: "f" + strconv.Itoa(f.ids), Path: at.path, Label: at.label, Help: s.Description, Schema: s,
		Value: f.draft[at.name], Optional: !at.required || s.Nullable(),
	}
	if s.Title != "" {
		c.Label = s.Title
	}
	c.Required = at.required && !s.Nullable()
	switch c.Kind {
	case Group:
		f.group(c, at.required)
	case List:
		f.list(c, at.required)
	case Map:
		f.dictionary(c, at.required)
	case Choice:
		f.choices(c)
		f.settle(c, at.required)
	case Number:
		c.json = f.number(c)
		f.settle(c, at.required)
	case JSON:
		text := strings.TrimSpace(c.Value)
		if bad := invalidJSON(text); text != "" && bad != "" {
			f.reject(&c.Error, bad)
		} else if text != "" {
			c.json = json.RawMessage(text)
		}
		f.settle(c, at.required)
	case Upload:
		c.json = f.file(c)
		f.settle(c, at.required)
	case Text, Area:
		c.Input = inputOf(s)
		if strings.Contains(c.Value, "\n") {
			c.Kind = Area // an input would lose its lines
		}
		c.json = f.text(c)
		f.settle(c, at.required)
	}
	return c
}

// settle decides what an empty control amounts to, and checks one that is not.
func (f *Form) settle(c *Field, required bool) {
	switch {
	case c.json != nil:
		if why := c.Schema.Own(c.json); why != "" {
			f.reject(&c.Error, why)
		}
	case c.Error != "":
	case required && c.Schema.Nullable():
		c.json = json.RawMessage("null")
	case required:
		f.reject(&c.Error, schema.Needed)
	}
}

func (f *Form) text(c *Field) json.RawMessage {
	v := c.Value
	if c.Input != "text" {
		v = strings.TrimSpace(v)
	}
	switch {
	case strings.TrimSpace(v) == "":
		return nil
	case c.Schema.Format == "date-time":
		f.Times = true
		t, why := readTime(v, f.Zone, f.clock)
		if why != "" {
			f.reject(&c.Error, why)
			return nil
		}
		return encode(t)
	case c.Input == "datetime-local", c.Input == "time":
		return encode(withSeconds(v))
	}
	return encode(v)
}

func (f *Form) number(c *Field) json.RawMessage {
	v := strings.TrimSpace(c.Value)
	if v == "" {
		return nil
	}
	wanted := "it has to be a number, such as 4.2"
	if c.Whole() {
		wanted = "it has to be a whole number, such as 42"
	}
	if !json.Valid([]byte(v)) || strings.ContainsAny(v, `"[{tfn`) {
		f.reject(&c.Error, wanted)
		return nil
	}
	return json.RawMessage(v)
}

func (f *Form) file(c *Field) json.RawMessage {
	f.Files = true
	if c.Value == "" {
		return nil
	}
	file, ok := parseFile(c.Value)
	switch {
	case !ok:
		f.reject(&c.Error, "choose a file")
	case file.data == "":
		f.reject(&c.Error, "the file is empty")
	default:
		text := file.json(c.Schema)
		if err := c.Schema.Check(text); err != nil {
			f.reject(&c.Error, err.Error())
			break
		}
		c.File, c.Required = &file, false // it need not be chosen again
		return text
	}
	c.Value = ""
	return nil
}

func (f *Form) choices(c *Field) {
	values := c.Schema.Enum
	if len(values) == 0 {
		values = []json.RawMessage{json.RawMessage("true"), json.RawMessage("false")}
	}
	for i, v := range values {
		text := compact(v)
		if text == "null" {
			continue // it is what nothing amounts to
		}
		label := labelOf(v)
		if i < len(c.Schema.Labels) && c.Schema.Labels[i] != "" {
			label = c.Schema.Labels[i]
		}
		on := c.Value == text
		if on {
			c.json = json.RawMessage(text)
		}
		c.Choices = append(c.Choices, ChoiceValue{text, label, c.ID + "-" + strconv.Itoa(i), on})
	}
	if c.json == nil && c.Value != "" {
		f.reject(&c.Error, "choose one of these")
	}
}

func (f *Form) group(c *Field, required bool) {
	c.Optional = !required // whether it may be null is what it amounts to
	members := object{}
	filled := f.filled[c.Name]
	for _, p := range c.Schema.Properties {
		// What an object that can be left out requires is required only if it is there.
		must := c.Schema.Requires(p.Name) && (required && !c.Schema.Nullable() || filled)
		child := f.build(p.Schema, place{c.Name + "/" + escape(p.Name), schema.Within(c.Path, p.Name), words(p.Name), must})
		child.Optional = !c.Schema.Requires(p.Name) || child.Kind != Group && p.Schema.Nullable()
		c.Fields = append(c.Fields, child)
		members.add(p.Name, child.json)
	}
	switch {
	case members.n > 0 && (filled || required && !c.Schema.Nullable()), required && !c.Schema.Nullable():
		c.json = members.json()
	case required:
		c.json = json.RawMessage("null")
	}
}

// items is how many items a list or a map has.
func (f *Form) items(c *Field) int {
	s := c.Schema
	n := s.MinItems
	if text, ok := f.draft[c.Name+"#"]; ok {
		n = count(text)
	}
	n = min(n, maxItems, max(0, maxFields-f.ids))
	if s.MaxItems > 0 {
		n = min(n, s.MaxItems)
	}
	c.Fixed = s.MaxItems > 0 && s.MinItems == s.MaxItems
	if c.Fixed {
		n = min(s.MinItems, maxItems, max(0, maxFields-f.ids))
	}
	c.Full = c.Fixed || n >= maxItems || s.MaxItems > 0 && n >= s.MaxItems
	return n
}

func (f *Form) list(c *Field, required bool) {
	c.Optional = !required && c.Schema.MinItems == 0
	c.Count = f.items(c)
	items := make([]string, 0, c.Count)
	for i := range c.Count {
		child := f.build(c.Schema.Items, place{c.Name + "/" + strconv.Itoa(i), pathIndex(c.Path, i), c.Label + " " + strconv.Itoa(i+1), true})
		c.Fields = append(c.Fields, child)
		if child.json != nil {
			items = append(items, string(child.json))
		}
	}
	if c.Count == 0 && !required {
		return
	}
	c.json = json.RawMessage("[" + strings.Join(items, ",") + "]")
	if why := c.Schema.Own(c.json); why != "" && len(items) == c.Count {
		f.reject(&c.Error, why)
	}
}

func (f *Form) dictionary(c *Field, required bool) {
	c.Optional = !required
	c.Count = f.items(c)
	members := object{}
	names := map[string]bool{}
	for i := range c.Count {
		name := c.Name + "/" + strconv.Itoa(i)
		member := f.draft[name+"@"]
		child := f.build(c.Schema.Values, place{name, schema.Within(c.Path, member), "Value", true})
		child.Member, child.MemberName, child.of = name+"@", member, c.Label
		switch {
		case member == "":
			f.reject(&child.MemberError, schema.Needed)
		case names[member]:
			f.reject(&child.MemberError, fmt.Sprintf("there is another one with the name %s", member))
		default:
			members.add(member, child.json)
		}
		names[member] = true
		c.Fields = append(c.Fields, child)
	}
	if c.Count > 0 || required {
		c.json = members.json()
	}
}

// object is JSON under construction.
type object struct {
	text bytes.Buffer
	n    int
}

// add adds a member, unless it amounts to nothing.
func (o *object) add(name string, value json.RawMessage) {
	if value == nil {
		return
	}
	if o.n++; o.n > 1 {
		o.text.WriteByte(',')
	}
	o.text.Write(encode(name))
	o.text.WriteByte(':')
	o.text.Write(value)
}

func (o *object) json() json.RawMessage { return json.RawMessage("{" + o.text.String() + "}") }
