package dashboard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tenter-dev/tenter/internal/schema"
	"github.com/tenter-dev/tenter/internal/strictjson"
)

// form is a form for a value that a JSON Schema describes. The names of its controls are
// JSON pointers: f/due_date, f/items/0; the length of a list is in f/items#.
type form struct {
	Key     string // makes sending it twice the same as once
	Typed   bool   // there is a schema with controls to show, not only the JSON
	JSON    bool   // it is edited as JSON
	Text    string // that JSON
	Root    *field
	Error   string
	Changed bool // a button has changed the form itself: it is not sent yet

	draft  map[string]string
	strict bool // say what is wrong
	failed bool
	ids    int
}

// field is a control, or several with a label around them.
type field struct {
	Kind     fieldKind
	Name, ID string
	Label    string
	Help     string
	Input    string // type of the input
	Required bool   // the browser asks for it
	Optional bool   // it can be left out
	Value    string
	Choices  []choice
	Fields   []*field // of a group or a list
	Count    int      // of a list
	Error    string
	Schema   *schema.Node

	json json.RawMessage // what it amounts to; nil: nothing
}

type fieldKind string

const (
	kindText   fieldKind = "text"
	kindArea   fieldKind = "area"
	kindNumber fieldKind = "number"
	kindChoice fieldKind = "choice"
	kindGroup  fieldKind = "group"
	kindList   fieldKind = "list"
	kindJSON   fieldKind = "json"
)

type choice struct {
	Value, Label, ID string
	On               bool
}

const (
	rootName = "f"
	maxItems = 1000 // of a list in a form
)

// newForm makes a form, with the values that were sent, or else those of a prefill if
// there is one.
func newForm(data json.RawMessage, label string, values url.Values, prefill json.RawMessage) *form {
	f := &form{draft: make(map[string]string)}
	s := &schema.Node{Opaque: true}
	if len(data) > 0 {
		s = schema.Parse(data)
		f.Typed = controlOf(s) != kindJSON
	}
	sent := values.Has("_key")
	for name, v := range values {
		if name == rootName || strings.HasPrefix(name, rootName+"/") || strings.HasPrefix(name, rootName+"#") {
			f.draft[name] = strings.ReplaceAll(v[0], "\r\n", "\n")
		}
	}
	if f.Key = values.Get("_key"); len(f.Key) < 16 || len(f.Key) > 64 {
		f.Key = newKey()
	}
	f.JSON = !f.Typed || values.Get("_as") == "json"
	f.Text = values.Get("_json")
	if !sent {
		f.begin(s, prefill)
	}
	add, remove, as := values.Get("_add"), values.Get("_remove"), values.Get("_switch")
	f.Changed = add != "" || remove != "" || as != ""
	f.strict = sent && !f.Changed
	switch {
	case add != "":
		f.add(add)
	case remove != "":
		f.remove(remove)
	case as == "form" && f.Typed:
		f.fill(s, []byte(f.Text))
	}
	f.Root = f.build(s, rootName, label, true)
	switch {
	case as == "json":
		f.JSON, f.Text = true, indent(f.Root.json)
	case f.JSON && f.strict:
		f.Error = invalidJSON(f.Text)
		f.failed = f.Error != ""
	}
	return f
}

// begin fills a new form.
func (f *form) begin(s *schema.Node, prefill json.RawMessage) {
	f.defaults(s, rootName)
	switch {
	case len(prefill) == 0:
	case f.Typed:
		f.fill(s, prefill)
		f.Error = "" // edited as JSON, it is all there
	default:
		f.Text = indent(prefill)
	}
}

// fill goes from JSON to controls, unless they can't show all of it.
func (f *form) fill(s *schema.Node, data []byte) {
	f.JSON, f.Text = true, string(data)
	if len(bytes.TrimSpace(data)) == 0 {
		f.JSON = false
		return
	}
	if f.Error = invalidJSON(f.Text); f.Error != "" {
		return
	}
	before := maps.Clone(f.draft)
	clear(f.draft)
	if err := f.spread(s, rootName, data); err != nil {
		f.draft, f.Error, f.Text = before, "The form can't show this: "+err.Error(), indent(data)
		return
	}
	f.JSON = false
}

// Payload returns what the form amounts to, if nothing is wrong with it.
func (f *form) Payload() (json.RawMessage, bool) {
	if f.failed {
		return nil, false
	}
	if f.JSON {
		return json.RawMessage(f.Text), json.Valid([]byte(f.Text)) // while it is edited nobody has looked
	}
	if f.Root.json == nil {
		return json.RawMessage("null"), true
	}
	return f.Root.json, true
}

// blame shows an error at the controls whose names it has, besides at the form.
func (f *form) blame(text string) {
	f.Error = text
	var look func(*field)
	look = func(c *field) {
		name := c.Name[strings.LastIndexByte(c.Name, '/')+1:]
		if c.Kind != kindGroup && c.Kind != kindList && len(name) > 1 && c.Error == "" &&
			regexp.MustCompile(`(?i)(^|[^\pL\pN_])`+regexp.QuoteMeta(unescape(name))+`($|[^\pL\pN_])`).MatchString(text) {
			c.Error = text
		}
		for _, child := range c.Fields {
			look(child)
		}
	}
	look(f.Root)
}

func controlOf(s *schema.Node) fieldKind {
	if s.Opaque {
		return kindJSON
	}
	if len(s.Enum) > 0 {
		return kindChoice
	}
	switch s.Kind() {
	case "string":
		if inputOf(s) != "text" || s.Pattern != "" || s.MaxLength > 0 && s.MaxLength <= 80 {
			return kindText
		}
		return kindArea
	case "integer", "number":
		return kindNumber
	case "boolean":
		return kindChoice
	case "object":
		return kindGroup
	case "array":
		if s.Items != nil {
			return kindList
		}
	}
	return kindJSON
}

// inputOf is the type of input for a string.
func inputOf(s *schema.Node) string {
	switch s.Format {
	case "date", "email", "time":
		return s.Format
	case "uri", "url":
		return "url"
	case "date-time":
		return "datetime" // a text: browsers know no zones
	}
	return "text"
}

// build makes the control of a schema, and what it amounts to.
func (f *form) build(s *schema.Node, name, label string, required bool) *field {
	f.ids++
	c := &field{
		Kind: controlOf(s), Name: name, ID: "f" + strconv.Itoa(f.ids), Label: label, Help: s.Description, Schema: s,
		Value: f.draft[name], Optional: !required,
	}
	if s.Title != "" {
		c.Label = s.Title
	}
	switch c.Kind {
	case kindGroup:
		f.group(c, required)
	case kindList:
		f.list(c, required)
	case kindChoice:
		f.choices(c, required)
	case kindNumber:
		c.Required = required && !s.Nullable()
		c.json = f.literal(c, required, s.Kind() == "integer")
	case kindJSON:
		c.Required = required && !s.Nullable()
		text := strings.TrimSpace(c.Value)
		bad := invalidJSON(text)
		switch {
		case text == "":
			f.missing(c, required)
		case bad != "":
			f.reject(c, bad)
		default:
			c.json = json.RawMessage(text)
		}
	case kindText, kindArea:
		c.Input = inputOf(s)
		c.Required = required && !s.Nullable() && (s.MinLength > 0 || c.Input != "text")
		switch {
		case c.Value == "" && (!required || s.Nullable() || c.Required):
			f.missing(c, required)
		case utf8.RuneCountInString(c.Value) < s.MinLength:
			f.reject(c, fmt.Sprintf("At least %d characters.", s.MinLength))
		default:
			c.json = text(c.Value)
		}
	}
	return c
}

// missing is what an empty control amounts to.
func (f *form) missing(c *field, required bool) {
	switch {
	case required && c.Schema.Nullable():
		c.json = json.RawMessage("null")
	case required:
		f.reject(c, "This is needed.")
	}
}

func (f *form) reject(c *field, why string) {
	if f.strict && !f.JSON { // what is edited as JSON is not in the controls
		f.failed, c.Error = true, why
	}
}

var (
	integers = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	numbers  = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)
)

func (f *form) literal(c *field, required, integer bool) json.RawMessage {
	v := strings.TrimSpace(c.Value)
	switch {
	case v == "":
		f.missing(c, required)
		return c.json
	case integer && !integers.MatchString(v):
		f.reject(c, "A whole number, such as 42.")
	case !numbers.MatchString(v):
		f.reject(c, "A number, such as 4.2.")
	default:
		return json.RawMessage(v)
	}
	return nil
}

func (f *form) choices(c *field, required bool) {
	values := c.Schema.Enum
	if len(values) == 0 {
		values = []json.RawMessage{json.RawMessage("true"), json.RawMessage("false")}
	}
	for i, v := range values {
		text := compact(v)
		label := oneLine(v)
		switch {
		case json.Unmarshal(v, &label) == nil && label != "":
		case text == "true":
			label = "Yes"
		case text == "false":
			label = "No"
		case text == "null":
			label = "None"
		case text == `""`:
			label = "(empty)"
		}
		on := c.Value == text
		if on {
			c.json = json.RawMessage(text)
		}
		c.Choices = append(c.Choices, choice{text, label, c.ID + "-" + strconv.Itoa(i), on})
	}
	if c.json == nil && c.Value != "" {
		f.reject(c, "Choose one of these.")
	} else if c.json == nil {
		f.missing(c, required)
	}
	c.Required = required && !c.Schema.Nullable()
}

func (f *form) group(c *field, required bool) {
	var object bytes.Buffer
	any := false
	for _, p := range c.Schema.Properties {
		// What an object that can be left out requires is required only if it is there.
		must := c.Schema.Requires(p.Name) && (required || f.filled(c.Name))
		child := f.build(p.Schema, c.Name+"/"+escape(p.Name), words(p.Name), must)
		child.Optional = !c.Schema.Requires(p.Name)
		c.Fields = append(c.Fields, child)
		if child.json != nil {
			if any {
				object.WriteByte(',')
			}
			any = true
			object.Write(text(p.Name))
			object.WriteByte(':')
			object.Write(child.json)
		}
	}
	switch {
	case any || required && !c.Schema.Nullable():
		c.json = json.RawMessage("{" + object.String() + "}")
	case required:
		c.json = json.RawMessage("null")
	}
}

// filled tells whether anything is in a control or below it.
func (f *form) filled(name string) bool {
	for k, v := range f.draft {
		if v != "" && v != "0" && (k == name || strings.HasPrefix(k, name+"/")) {
			return true
		}
	}
	return false
}

func (f *form) list(c *field, required bool) {
	n, err := strconv.Atoi(f.draft[c.Name+"#"])
	if err != nil || n < 0 {
		n = c.Schema.MinItems
	}
	c.Count = min(n, maxItems)
	items := make([]string, 0, c.Count)
	for i := range c.Count {
		child := f.build(c.Schema.Items, c.Name+"/"+strconv.Itoa(i), c.Label+" "+strconv.Itoa(i+1), true)
		c.Fields = append(c.Fields, child)
		if child.json != nil {
			items = append(items, string(child.json))
		}
	}
	if c.Count > 0 || required {
		c.json = json.RawMessage("[" + strings.Join(items, ",") + "]")
	}
}

// add makes a list longer.
func (f *form) add(name string) {
	n, _ := strconv.Atoi(f.draft[name+"#"])
	f.draft[name+"#"] = strconv.Itoa(min(n+1, maxItems))
}

// remove takes an item out of a list, and moves those behind it up.
func (f *form) remove(name string) {
	cut := strings.LastIndexByte(name, '/')
	if cut < 0 {
		return
	}
	list := name[:cut]
	n, _ := strconv.Atoi(f.draft[list+"#"])
	gone, err := strconv.Atoi(name[cut+1:])
	if err != nil || gone < 0 || gone >= n {
		return
	}
	after := map[string]string{list + "#": strconv.Itoa(n - 1)}
	for k, v := range f.draft {
		rest, below := strings.CutPrefix(k, list+"/")
		if !below {
			if k != list+"#" {
				after[k] = v
			}
			continue
		}
		end := strings.IndexAny(rest, "/#")
		if end < 0 {
			end = len(rest)
		}
		switch i, _ := strconv.Atoi(rest[:end]); {
		case i < gone:
			after[k] = v
		case i > gone:
			after[list+"/"+strconv.Itoa(i-1)+rest[end:]] = v
		}
	}
	f.draft = after
}

// defaults fills what the schema has defaults for.
func (f *form) defaults(s *schema.Node, name string) {
	if len(s.Default) > 0 && f.spread(s, name, s.Default) == nil {
		return
	}
	if controlOf(s) == kindGroup {
		for _, p := range s.Properties {
			f.defaults(p.Schema, name+"/"+escape(p.Name))
		}
	}
}

// spread puts JSON into controls. It fails if they can't show it.
func (f *form) spread(s *schema.Node, name string, data json.RawMessage) error {
	where := "the value"
	if at, ok := strings.CutPrefix(name, rootName+"/"); ok {
		where = unescape(at)
	}
	kind := controlOf(s)
	if string(data) == "null" && kind != kindJSON && kind != kindChoice {
		if s.Nullable() || name != rootName {
			return nil
		}
	}
	switch kind {
	case kindGroup:
		names, values, err := schema.Members(data)
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		for i, member := range names {
			at := slices.IndexFunc(s.Properties, func(p schema.Property) bool { return p.Name == member })
			if at < 0 {
				return fmt.Errorf("%s: it has no place for %q", where, member)
			}
			if err := f.spread(s.Properties[at].Schema, name+"/"+escape(member), values[i]); err != nil {
				return err
			}
		}
	case kindList:
		var items []json.RawMessage
		if err := json.Unmarshal(data, &items); err != nil || len(items) > maxItems {
			return fmt.Errorf("%s is not a list of the right type", where)
		}
		f.draft[name+"#"] = strconv.Itoa(len(items))
		for i, item := range items {
			if err := f.spread(s.Items, name+"/"+strconv.Itoa(i), item); err != nil {
				return err
			}
		}
	case kindText, kindArea:
		var v string
		if err := json.Unmarshal(data, &v); err != nil {
			return fmt.Errorf("%s is not a text", where)
		}
		f.draft[name] = v
	case kindNumber:
		if !numbers.Match(bytes.TrimSpace(data)) {
			return fmt.Errorf("%s is not a number", where)
		}
		f.draft[name] = string(bytes.TrimSpace(data))
	case kindChoice:
		f.draft[name] = compact(data)
	case kindJSON:
		f.draft[name] = indent(data)
	}
	return nil
}

// text encodes a string as JSON.
func text(s string) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string never fails
	return bytes.TrimSpace(b.Bytes())
}

func compact(data json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return string(data)
	}
	return b.String()
}

func indent(data json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		return string(data)
	}
	return b.String()
}

// invalidJSON says what is wrong with a text, and where, if anything is.
func invalidJSON(s string) string {
	if strings.TrimSpace(s) == "" {
		return "Write JSON here: null is the least."
	}
	err := strictjson.Check([]byte(s))
	if bad, ok := errors.AsType[*strictjson.Error](err); ok {
		before := s[:min(bad.Offset, len(s))]
		line := 1 + strings.Count(before, "\n")
		where := bad.Detail
		if bad.Path != "" {
			where = bad.Path + ": " + where
		}
		return fmt.Sprintf("Line %d, character %d: %s.", line, len(before)-strings.LastIndexByte(before, '\n')-1, where)
	}
	return ""
}

// escape and unescape are those of JSON pointers, and for the mark of lengths.
func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "#", "~2").Replace(name)
}

func unescape(name string) string {
	return strings.NewReplacer("~0", "~", "~1", "/", "~2", "#").Replace(name)
}
