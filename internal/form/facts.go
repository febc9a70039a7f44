package form

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tenter-dev/tenter/internal/schema"
)

// A Fact is a value with its name, of JSON that is there to be read. Whoever wrote it may mean
// harm: it is text, save for links of https.
type Fact struct {
	Label string // empty: it is the whole, or an item of a list
	Value string
	Link  string // the value, if it is a link of https without a user; else empty
	Host  string // of the link
	Facts []Fact // of an object or a list: then there is no value
}

const (
	maxFacts     = 200 // of one JSON
	maxFactDepth = 4
	maxFact      = 2000 // characters of a value
)

// Facts returns what JSON says, in its order. What is too deep is shown as JSON, and what is too
// much is left out.
func Facts(data json.RawMessage) []Fact { return FactsOf(nil, data) }

// FactsOf is Facts of JSON that has a JSON Schema: names and choices are those that a form of it has.
func FactsOf(s, data json.RawMessage) []Fact {
	if len(bytes.TrimSpace(data)) == 0 || !json.Valid(data) {
		return nil
	}
	left := maxFacts
	node := unknown
	if len(s) > 0 {
		node = schema.Parse(s)
	}
	fact := factOf(node, "", bytes.TrimSpace(data), 0, &left)
	if fact.Facts != nil {
		return fact.Facts
	}
	return []Fact{fact}
}

func factOf(s *schema.Node, label string, data []byte, depth int, left *int) Fact {
	*left--
	fact := Fact{Label: label}
	if i := slices.IndexFunc(s.Enum, func(v json.RawMessage) bool { return compact(v) == compact(data) }); i >= 0 && i < len(s.Labels) && s.Labels[i] != "" {
		fact.Value = s.Labels[i]
		return fact
	}
	if s.File() {
		if file, err := fileOf(s, data); err == nil {
			fact.Value = file.describe()
			return fact
		}
	}
	switch data[0] {
	case '{', '[':
		if depth >= maxFactDepth {
			fact.Value = schema.Cut(compact(data), maxFact)
			return fact
		}
		fact.Facts = factsIn(s, data, depth, left)
		if len(fact.Facts) == 0 {
			fact.Value = "None"
		}
	case '"':
		var text string
		_ = json.Unmarshal(data, &text) // it is valid
		fact.Link, fact.Host = link(text)
		fact.Value = schema.Cut(text, maxFact)
	default:
		fact.Value = labelOf(data)
	}
	return fact
}

// factsIn are those of an object or a list. A list of short values is one fact.
func factsIn(s *schema.Node, data []byte, depth int, left *int) []Fact {
	var facts []Fact
	if data[0] == '{' {
		names, values, _ := schema.Members(data) // it is valid
		for i, name := range names {
			if *left <= 0 {
				break
			}
			member, label := memberOf(s, name)
			facts = append(facts, factOf(member, label, values[i], depth+1, left))
		}
		return facts
	}
	var items []json.RawMessage
	_ = json.Unmarshal(data, &items) // it is valid
	for i, item := range items {
		if *left <= 0 {
			break
		}
		label := ""
		if item[0] == '{' || item[0] == '[' {
			label = strconv.Itoa(i + 1)
		}
		facts = append(facts, factOf(cmp.Or(s.Items, unknown), label, item, depth+1, left))
	}
	return facts
}

var unknown = &schema.Node{Opaque: true}

// memberOf returns the schema of a member of an object, and its name for people.
func memberOf(s *schema.Node, name string) (member *schema.Node, label string) {
	for _, p := range s.Properties {
		if p.Name == name {
			return p.Schema, cmp.Or(p.Schema.Title, words(name))
		}
	}
	if s.Values != nil && len(s.Properties) == 0 {
		return s.Values, name
	}
	return unknown, words(name)
}

// link returns a text that is a link as it is to be followed, and its host.
func link(text string) (to, host string) {
	if len(text) > maxFact || strings.ContainsAny(text, " \t\r\n\\<>\"") {
		return "", ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsFunc(u.Host, func(r rune) bool { return r > 126 }) {
		return "", ""
	}
	return u.String(), u.Host
}

// maxLine is how long Line gets, in characters.
const maxLine = 120

// Line returns the beginning of what JSON says, in one line.
func Line(data json.RawMessage) string {
	var parts []string
	var add func(facts []Fact, before string)
	add = func(facts []Fact, before string) {
		for _, fact := range facts {
			label := strings.TrimSpace(before + " " + fact.Label)
			switch {
			case fact.Facts != nil:
				add(fact.Facts, label)
			case label == "":
				parts = append(parts, fact.Value)
			default:
				parts = append(parts, label+": "+fact.Value)
			}
		}
	}
	add(Facts(data), "")
	return schema.Cut(strings.Join(strings.Fields(strings.Join(parts, " · ")), " "), maxLine)
}
