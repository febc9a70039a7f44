package schema

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An Error says what is wrong with a value.
type Error struct {
	Path   string // of the value, such as items[2].price; empty: all of it
	Detail string // a sentence without its capital and its full stop
}

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Detail
	}
	return e.Path + ": " + e.Detail
}

// Errors are what is wrong with a value and with those in it. There is at least one.
type Errors []*Error

func (e Errors) Error() string {
	all := make([]string, len(e))
	for i, one := range e {
		all[i] = one.Error()
	}
	return strings.Join(all, "; ")
}

// Field returns the path of the first value with which something is wrong.
func (e Errors) Field() string { return e[0].Path }

// maxErrors is how many errors a check lists.
const maxErrors = 20

// Check returns why JSON does not fit, as an Errors, or nil. As for encoding/json, a member that an
// object lacks, and one that is null, has the zero value of its type: it is missing only if that
// does not fit. What is opaque fits.
func (n *Node) Check(data []byte) error {
	c := checker{}
	c.value(n, "", data)
	if len(c.errs) > 0 {
		return c.errs
	}
	return nil
}

// Own returns what is wrong with a value itself, whatever is in it; empty: nothing is.
func (n *Node) Own(data []byte) string {
	detail, _ := n.own(bytes.TrimSpace(data))
	return detail
}

// Needed is the detail of the error of a value that is missing.
const Needed = "this is needed"

type checker struct{ errs Errors }

func (c *checker) fail(path, detail string) {
	if len(c.errs) < maxErrors {
		c.errs = append(c.errs, &Error{path, detail})
	}
}

func (c *checker) value(n *Node, path string, data []byte) {
	data = bytes.TrimSpace(data)
	if n.Opaque {
		return
	}
	if string(data) == "null" && !n.Nullable() {
		c.missing(n, path)
		return
	}
	detail, within := n.own(data)
	switch {
	case detail != "":
		c.fail(path, detail)
	case within && data[0] == '{':
		c.members(n, path, data)
	case within && data[0] == '[' && n.Items != nil:
		var items []json.RawMessage
		if err := json.Unmarshal(data, &items); err != nil {
			c.fail(path, err.Error())
		}
		for i, item := range items {
			c.value(n.Items, path+"["+strconv.Itoa(i)+"]", item)
		}
	}
}

func (c *checker) members(n *Node, path string, data []byte) {
	names, values, err := Members(data)
	if err != nil {
		c.fail(path, err.Error())
		return
	}
	for _, p := range n.Properties {
		if !slices.Contains(names, p.Name) && n.Requires(p.Name) && !p.Schema.Opaque && !p.Schema.Nullable() {
			c.missing(p.Schema, Within(path, p.Name))
		}
	}
	for i, name := range names {
		in := n.Values
		if at := slices.IndexFunc(n.Properties, func(p Property) bool { return p.Name == name }); at >= 0 {
			in = n.Properties[at].Schema
		}
		if in == nil {
			c.fail(Within(path, name), n.unknown(name))
			continue
		}
		c.value(in, Within(path, name), values[i])
	}
}

// unknown says that there is no such member, and which one is meant.
func (n *Node) unknown(name string) string {
	for _, p := range n.Properties {
		if strings.EqualFold(p.Name, name) {
			return fmt.Sprintf("there is no field %q: it is written %q", name, p.Name)
		}
	}
	return fmt.Sprintf("there is no field %q", name)
}

// zeros are what encoding/json leaves in the place of a value that is missing, by its kind.
var zeros = map[string]string{"string": `""`, "integer": "0", "number": "0", "boolean": "false", "array": "[]", "object": "{}"}

// Decoded returns what encoding/json makes of a value, or of none: of one that is missing or null,
// where it can't be null, the zero value.
func (n *Node) Decoded(data []byte) []byte {
	data = bytes.TrimSpace(data)
	switch zero := zeros[n.Kind()]; {
	case len(data) > 0 && string(data) != "null":
		return data
	case zero == "" || n.Nullable():
		return []byte("null")
	default:
		return []byte(zero)
	}
}

// missing checks the zero value in the place of one that is missing.
func (c *checker) missing(n *Node, path string) {
	in := checker{}
	if zero := zeros[n.Kind()]; zero != "" {
		in.value(n, path, []byte(zero))
	}
	if len(in.errs) > 0 {
		c.fail(path, Needed)
	}
}

// maxInPath is how much of the name of a member is in a path, in characters: a name can be as long as
// the payload, and the path of all that is in the member begins with it.
const maxInPath = 100

// Within is the path of a member.
func Within(path, name string) string {
	if path != "" {
		path += "."
	}
	return path + Cut(name, maxInPath)
}

// Cut shortens a text for people to a number of characters.
func Cut(s string, most int) string {
	n, end := 0, 0
	for i := range s {
		switch n {
		case most - 1:
			end = i
		case most:
			return s[:end] + "…"
		}
		n++
	}
	return s
}

var (
	integers = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	numbers  = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$`)
)

// own says what is wrong with a value itself, and whether to look at those in it.
func (n *Node) own(data []byte) (detail string, within bool) {
	if len(data) == 0 || n.Opaque || string(data) == "null" && n.Nullable() {
		return "", false
	}
	if len(n.Types) > 0 && !n.admits(data) {
		return "it has to be " + n.wanted(), false
	}
	if len(n.Enum) > 0 && !slices.ContainsFunc(n.Enum, func(v json.RawMessage) bool { return Equal(v, data) }) {
		return "it has to be " + n.oneOf(), false
	}
	switch data[0] {
	case '{':
		return "", true
	case '[':
		return n.list(data), true
	case '"':
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err.Error(), false
		}
		return n.text(text), false
	case 't', 'f', 'n':
		return "", false
	}
	return n.number(string(data)), false
}

// admits tells whether a value has one of the types.
func (n *Node) admits(data []byte) bool {
	for _, t := range n.Types {
		var fits bool
		switch data[0] {
		case '{':
			fits = t == "object"
		case '[':
			fits = t == "array"
		case '"':
			fits = t == "string"
		case 't', 'f':
			fits = t == "boolean"
		case 'n':
			fits = t == "null"
		default:
			fits = t == "number" || t == "integer" && integers.Match(data) // as Go reads them
		}
		if fits {
			return true
		}
	}
	return false
}

// wanted says what has one of the types.
func (n *Node) wanted() string {
	var all []string
	for _, t := range n.Types {
		switch t {
		case "integer":
			all = append(all, "a whole number, such as 42")
		case "number":
			all = append(all, "a number, such as 4.2")
		case "string":
			all = append(all, "a text")
		case "boolean":
			all = append(all, "true or false")
		case "array":
			all = append(all, "a list")
		case "object":
			all = append(all, "an object")
		}
	}
	if len(all) == 0 {
		return "null"
	}
	return strings.Join(all, " or ")
}

func (n *Node) oneOf() string {
	var all []string
	for _, v := range n.Enum {
		text := string(v)
		_ = json.Unmarshal(v, &text) // one that is not a text stays as it is
		if !isNull(v) {
			all = append(all, text)
		}
	}
	switch {
	case len(all) == 0:
		return "null"
	case len(all) == 1:
		return all[0]
	case len(all) > 20:
		return "one of " + strings.Join(all[:20], ", ") + ", …"
	}
	return "one of " + strings.Join(all, ", ")
}

func (n *Node) text(s string) string {
	length := utf8.RuneCountInString(s)
	switch {
	case s == "" && n.MinLength > 0:
		return "it can't be empty"
	case length < n.MinLength:
		return fmt.Sprintf("it has to be at least %d characters long", n.MinLength)
	case n.MaxLength > 0 && length > n.MaxLength:
		return fmt.Sprintf("it has to be at most %d characters long, and is %d", n.MaxLength, length)
	case formats[n.Format] != nil && !formats[n.Format].fits(s):
		return "it has to be " + formats[n.Format].what
	case n.pattern != nil && !n.pattern.MatchString(s):
		return "it does not have the right form, " + n.Pattern
	case n.ContentEncoding == "base64":
		if _, err := base64.StdEncoding.DecodeString(s); err != nil {
			return "it has to be base64"
		}
	}
	return ""
}

// maxNumber is how long a number may be that is compared, in bytes: to compare takes time that is
// quadratic in it.
const maxNumber = 1000

func (n *Node) number(text string) string {
	if n.Minimum == "" && n.Maximum == "" && n.Above == "" && n.Below == "" && n.MultipleOf == "" {
		return ""
	}
	switch {
	case len(text) > maxNumber:
		return "it has too many digits to be compared"
	case !numbers.MatchString(text):
		return "it is too large or too small to be compared"
	}
	v := rational(text)
	switch {
	case n.Minimum != "" && v.Cmp(rational(string(n.Minimum))) < 0:
		return "it has to be at least " + string(n.Minimum)
	case n.Maximum != "" && v.Cmp(rational(string(n.Maximum))) > 0:
		return "it has to be at most " + string(n.Maximum)
	case n.Above != "" && v.Cmp(rational(string(n.Above))) <= 0:
		return "it has to be more than " + string(n.Above)
	case n.Below != "" && v.Cmp(rational(string(n.Below))) >= 0:
		return "it has to be less than " + string(n.Below)
	case n.MultipleOf != "" && rational(string(n.MultipleOf)).Sign() > 0 && !v.Quo(v, rational(string(n.MultipleOf))).IsInt():
		return "it has to be a multiple of " + string(n.MultipleOf)
	}
	return ""
}

// rational is a number of JSON, exactly. Its exponent has at most three digits.
func rational(text string) *big.Rat {
	if r, ok := new(big.Rat).SetString(text); ok && numbers.MatchString(text) {
		return r
	}
	return new(big.Rat)
}

func (n *Node) list(data []byte) string {
	var items []json.RawMessage
	if err := json.Unmarshal(data, &items); err != nil {
		return err.Error()
	}
	switch {
	case len(items) < n.MinItems:
		return fmt.Sprintf("it has to have at least %s", itemsOf(n.MinItems))
	case n.MaxItems > 0 && len(items) > n.MaxItems:
		return fmt.Sprintf("it has to have at most %s, and has %d", itemsOf(n.MaxItems), len(items))
	case n.Unique:
		seen := map[string]bool{}
		for _, item := range items {
			key := string(canonical(item))
			if seen[key] {
				return "the same is in it twice: " + string(item)
			}
			seen[key] = true
		}
	}
	return ""
}

func itemsOf(n int) string {
	if n == 1 {
		return "1 item"
	}
	return strconv.Itoa(n) + " items"
}

// Equal compares JSON by what it means, save for numbers, which have to be written alike.
func Equal(a, b []byte) bool {
	return bytes.Equal(a, b) || bytes.Equal(canonical(a), canonical(b))
}

// canonical is JSON in one way of writing it, save for numbers.
func canonical(data []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return data
	}
	text, err := json.Marshal(v)
	if err != nil {
		return data
	}
	return text
}
