package form

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/tenter-dev/tenter/internal/schema"
)

// defaults fills what the schema has defaults for.
func (f *Form) defaults(s *schema.Node, name string) {
	if len(s.Default) > 0 && f.spread(s, name, "", s.Default) == nil {
		return
	}
	if kindOf(s) == Group {
		for _, p := range s.Properties {
			f.defaults(p.Schema, name+"/"+escape(p.Name))
		}
	}
}

// spread puts JSON into controls. It fails if they can't show it.
func (f *Form) spread(s *schema.Node, name, path string, data json.RawMessage) error {
	fail := func(format string, args ...any) error {
		text := fmt.Sprintf(format, args...)
		if path == "" {
			return fmt.Errorf("the value %s", text)
		}
		return fmt.Errorf("%s %s", path, text)
	}
	kind := kindOf(s)
	if string(data) == "null" && kind != JSON && (s.Nullable() || name != rootName) {
		return nil
	}
	switch kind {
	case Group:
		names, values, err := schema.Members(data)
		if err != nil {
			return fail("is not an object")
		}
		for i, member := range names {
			at := slices.IndexFunc(s.Properties, func(p schema.Property) bool { return p.Name == member })
			if at < 0 {
				return fail("has no place for %q", member)
			}
			if err := f.spread(s.Properties[at].Schema, name+"/"+escape(member), schema.Within(path, member), values[i]); err != nil {
				return err
			}
		}
	case Map:
		names, values, err := schema.Members(data)
		if err != nil || len(names) > maxItems {
			return fail("is not an object of the right size")
		}
		f.draft[name+"#"] = strconv.Itoa(len(names))
		for i, member := range names {
			in := name + "/" + strconv.Itoa(i)
			f.draft[in+"@"] = member
			if err := f.spread(s.Values, in, schema.Within(path, member), values[i]); err != nil {
				return err
			}
		}
	case List:
		var items []json.RawMessage
		if err := json.Unmarshal(data, &items); err != nil || len(items) > maxItems || s.MaxItems > 0 && len(items) > s.MaxItems {
			return fail("is not a list of the right size")
		}
		f.draft[name+"#"] = strconv.Itoa(len(items))
		for i, item := range items {
			if err := f.spread(s.Items, name+"/"+strconv.Itoa(i), pathIndex(path, i), item); err != nil {
				return err
			}
		}
	case Text, Area:
		var v string
		if err := json.Unmarshal(data, &v); err != nil {
			return fail("is not a text")
		}
		if s.Format == "date-time" && v != "" {
			local, ok := localTime(v, f.clock)
			if !ok {
				return fail("is not a time that a calendar can show")
			}
			v = local
		}
		f.draft[name] = v
	case Number:
		var v json.Number
		if err := json.Unmarshal(data, &v); err != nil || v == "" || data[0] == '"' {
			return fail("is not a number")
		}
		f.draft[name] = string(v)
	case Upload:
		file, err := fileOf(s, data)
		if err != nil {
			return fail("is not a file")
		}
		f.draft[name] = file.String()
	case Choice:
		f.draft[name] = compact(data)
	case JSON:
		f.draft[name] = indent(data)
	}
	return nil
}
