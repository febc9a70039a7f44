package form

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tenter-dev/tenter/internal/schema"
	"github.com/tenter-dev/tenter/internal/strictjson"
)

// Options say what a form is for.
type Options struct {
	Schema json.RawMessage // of the payload; without one it is edited as JSON
	Label  string          // of the payload as a whole

	// Values are those of the request. If there is the key of a form among them it has been sent.
	Values url.Values

	// Prefill is what a new form begins with. Default: the defaults of the schema.
	Prefill json.RawMessage

	// Zone is the time zone of a new form, such as Europe/Berlin. Default: UTC.
	Zone string

	// Buttons makes the first field that is a choice, has to be made, and has few possibilities the
	// buttons that send the form, see Form.Buttons.
	Buttons bool

	// Plain leaves JSON out: whatever has no fields of its own is a text in which JSON is written,
	// but the form as a whole can't be edited as JSON.
	Plain bool
}

// A Form is a form for a payload. The names of its controls are JSON pointers: f/due_date,
// f/items/0; the number of items of a list is in f/items#, the name of an item of a map in
// f/items/0@. Names that begin with an underscore are those of the form itself.
type Form struct {
	Key     string // makes sending it twice the same as once: at least 16 characters
	Typed   bool   // there is a schema with controls to show, not only the JSON
	Plain   bool   // it is not to be edited as JSON
	JSON    bool   // it is edited as JSON
	Text    string // that JSON
	Root    *Field
	Buttons *Field // a choice that is made by sending the form; nil: there is none
	Error   string // of the form as a whole
	Changed bool   // a button has changed the form itself: it is not sent yet

	Files bool // there are files: the form has to be sent as multipart/form-data

	Times bool     // there are times: the form asks for their zone
	Zone  string   // their zone
	Guess bool     // nothing depends on the zone yet: a browser that knows its own may put it in
	Zones []string // to choose from

	clock  *time.Location // of Zone
	draft  map[string]string
	filled map[string]bool // the names of controls with something in them, and of what they are in
	strict bool            // say what is wrong
	failed bool
	ids    int
}

const (
	rootName  = "f"
	maxItems  = 1000 // of a list in a form
	maxFields = 5000 // of a form
	maxError  = 2000 // characters of an error, which may be at many fields
)

// New makes a form, with the values that were sent, or else those of a prefill if there is one.
func New(o Options) *Form {
	f := &Form{Plain: o.Plain, draft: make(map[string]string)}
	s := &schema.Node{Opaque: true}
	if len(o.Schema) > 0 {
		s = schema.Parse(o.Schema)
		f.Typed = kindOf(s) != JSON
	}
	values := o.Values
	sent := values.Has("_key")
	for name, v := range values {
		if hasControl(s, name) {
			f.draft[name] = strings.ReplaceAll(v[0], "\r\n", "\n")
		}
	}
	if f.Key = values.Get("_key"); len(f.Key) < 16 || len(f.Key) > 64 {
		f.Key = rand.Text()
	}
	f.setZone(values.Get("_zone"), o.Zone)
	f.JSON = !f.Typed || !f.Plain && values.Get("_as") == "json"
	f.Text = values.Get("_json")
	if !sent {
		f.begin(s, o.Prefill)
	}
	add, remove, drop, as := values.Get("_add"), values.Get("_remove"), values.Get("_drop"), values.Get("_switch")
	f.Changed = add != "" || remove != "" || drop != "" || as != ""
	f.strict = sent && !f.Changed
	switch {
	case hasControl(s, add+"#"):
		f.add(add)
	case hasControl(s, listOf(remove)+"#"):
		f.remove(remove)
	case hasControl(s, drop):
		delete(f.draft, drop) // a file
	case as == "form" && f.Typed && !f.Plain:
		f.fill(s, []byte(f.Text))
	}
	f.filled = f.fillings()
	f.Root = f.build(s, place{name: rootName, label: o.Label, required: true})
	if o.Buttons && !f.JSON {
		f.takeButtons()
	}
	f.offerZones(!sent)
	switch {
	case as == "json" && f.Typed && !f.Plain:
		f.JSON, f.Text = true, indent(f.Root.json)
	case f.JSON && f.strict:
		f.checkText(s)
	}
	return f
}

// checkText checks what is edited as JSON.
func (f *Form) checkText(s *schema.Node) {
	if f.Error = invalidJSON(f.Text); f.Error == "" {
		if err := s.Check([]byte(f.Text)); err != nil {
			f.Error = sentence(err.Error())
		}
	}
	f.failed = f.Error != ""
}

// begin fills a new form.
func (f *Form) begin(s *schema.Node, prefill json.RawMessage) {
	f.defaults(s, rootName)
	switch {
	case len(prefill) == 0:
	case f.Typed:
		before := maps.Clone(f.draft)
		f.fill(s, prefill)
		f.Error = "" // edited as JSON, it is all there
		if f.Plain && f.JSON {
			f.draft, f.JSON, f.Text = before, false, ""
		}
	default:
		f.Text = indent(prefill)
	}
}

// fill goes from JSON to controls, unless they can't show all of it.
func (f *Form) fill(s *schema.Node, data []byte) {
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
	if err := f.spread(s, rootName, "", data); err != nil {
		f.draft, f.Error, f.Text = before, "The form can't show this: "+err.Error(), indent(data)
		return
	}
	f.JSON = false
}

// Payload returns what the form amounts to, if nothing is wrong with it.
func (f *Form) Payload() (json.RawMessage, bool) {
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

// Blame shows an error of a payload that was refused at the fields that it is about: that of its
// method Field() string, if it has one, else those whose names are in its text. What is about
// none is shown at the form.
func (f *Form) Blame(err error) {
	f.failed = true
	var path string
	if wrong, ok := errors.AsType[interface {
		error
		Field() string
	}](err); ok {
		path = wrong.Field()
	}
	text := err.Error()
	lower := strings.ToLower(schema.Cut(text, maxError))
	if path != "" {
		text = strings.TrimPrefix(text, path+": ")
	}
	text = sentence(schema.Cut(text, maxError))
	f.Error = text
	if f.JSON {
		return
	}
	found := false
	leaves := slices.Collect(f.Root.leaves())
	if f.Buttons != nil {
		leaves = append(leaves, f.Buttons)
	}
	for _, c := range leaves {
		if c.Error == "" && (path != "" && c.Path == path || path == "" && c.named(lower)) {
			c.Error, found = text, true
		}
	}
	if found {
		f.Error = ""
	}
}

// named tells whether a text in lower case has the name of a field, as a word.
func (c *Field) named(text string) bool {
	name := c.Path[strings.LastIndexByte(c.Path, '.')+1:]
	if cut := strings.IndexByte(name, '['); cut > 0 {
		name = name[:cut]
	}
	if len(name) <= 2 {
		return false
	}
	name = strings.ToLower(name)
	for at := 0; ; at++ {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return false
		}
		at += i
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		after, _ := utf8.DecodeRuneInString(text[at+len(name):])
		if !inWord(before) && !inWord(after) {
			return true
		}
	}
}

func inWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) }

// Wrong are the fields with which something is wrong, in the order of the page.
func (f *Form) Wrong() []*Field {
	var wrong []*Field
	if f.JSON {
		return nil
	}
	add := func(c *Field) {
		if c.Error != "" || c.MemberError != "" {
			wrong = append(wrong, c)
		}
	}
	for c := range f.Root.all() {
		add(c)
	}
	if f.Buttons != nil && f.Buttons != f.Root {
		add(f.Buttons)
	}
	return wrong
}

func (f *Form) reject(at *string, why string) {
	if f.strict && !f.JSON && *at == "" { // what is edited as JSON is not in the controls
		f.failed, *at = true, sentence(why)
	}
}

// takeButtons takes the field out that is to be answered by buttons.
func (f *Form) takeButtons() {
	fits := func(c *Field) bool {
		return c.Kind == Choice && !c.Optional && len(c.Choices) > 0 && len(c.Choices) <= 4
	}
	if fits(f.Root) {
		f.Buttons = f.Root
		return
	}
	if f.Root.Kind != Group {
		return
	}
	if i := slices.IndexFunc(f.Root.Fields, fits); i >= 0 {
		f.Buttons = f.Root.Fields[i]
		f.Root.Fields = slices.Delete(slices.Clone(f.Root.Fields), i, i+1)
	}
}

// hasControl tells whether a form of a schema can have a control with a name. What has none is not
// looked at: whoever sends a form can put anything into it.
func hasControl(s *schema.Node, name string) bool {
	rest, ok := strings.CutPrefix(name, rootName)
	for ok && strings.HasPrefix(rest, "/") {
		end := strings.IndexAny(rest[1:], "/#@") + 1
		if end == 0 {
			end = len(rest)
		}
		part := rest[1:end]
		rest = rest[end:]
		kind := kindOf(s)
		switch i := count(part); {
		case kind == Group:
			member := unescaper.Replace(part)
			at := slices.IndexFunc(s.Properties, func(p schema.Property) bool { return p.Name == member })
			if at < 0 {
				return false
			}
			s = s.Properties[at].Schema
		case i >= maxItems || part != strconv.Itoa(i):
			return false
		case kind == Map && rest == "@":
			return true
		case kind == Map:
			s = s.Values
		case kind == List:
			s = s.Items
		default:
			return false
		}
	}
	if kind := kindOf(s); kind == Group {
		return false
	} else if kind == List || kind == Map {
		return ok && rest == "#"
	}
	return ok && rest == ""
}

// fillings returns the names of controls that have something in them, and of what they are in.
func (f *Form) fillings() map[string]bool {
	filled := map[string]bool{}
	for name, v := range f.draft {
		if v == "" || v == "0" {
			continue
		}
		for !filled[name] {
			filled[name] = true
			name = listOf(name)
		}
	}
	return filled
}

// listOf is the name of what a control is in, such as a list; empty: of none.
func listOf(name string) string { return name[:max(0, strings.LastIndexByte(name, '/'))] }

// add makes a list longer.
func (f *Form) add(name string) {
	n := count(f.draft[name+"#"])
	f.draft[name+"#"] = fmt.Sprint(min(n+1, maxItems))
}

// remove takes an item out of a list, and moves those behind it up.
func (f *Form) remove(name string) {
	list := listOf(name)
	item := strings.TrimPrefix(name, list+"/")
	n, gone := count(f.draft[list+"#"]), count(item)
	if gone >= n || item != strconv.Itoa(gone) {
		return
	}
	after := map[string]string{list + "#": fmt.Sprint(n - 1)}
	for k, v := range f.draft {
		rest, below := strings.CutPrefix(k, list+"/")
		if !below {
			if k != list+"#" {
				after[k] = v
			}
			continue
		}
		end := strings.IndexAny(rest, "/#@")
		if end < 0 {
			end = len(rest)
		}
		switch i := count(rest[:end]); {
		case i < gone:
			after[k] = v
		case i > gone:
			after[list+"/"+fmt.Sprint(i-1)+rest[end:]] = v
		}
	}
	f.draft = after
}

// count is a number of items; 0 if it is none.
func count(text string) int {
	n := 0
	if _, err := fmt.Sscanf(text, "%d", &n); err != nil || n < 0 {
		return 0
	}
	return min(n, maxItems)
}

// sentence writes an error as a sentence.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	if first := text[0]; 'a' <= first && first <= 'z' && !strings.Contains(strings.SplitN(text, " ", 2)[0], ":") {
		text = string(first-'a'+'A') + text[1:]
	}
	if !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "?") && !strings.HasSuffix(text, "!") {
		text += "."
	}
	return text
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
