package form

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"path"
	"strings"

	"github.com/tenter-dev/tenter/internal/schema"
)

// A File is one that somebody has chosen. A control keeps it as a data URL: a page that is shown again
// sends it along, since a browser forgets what was chosen.
type File struct {
	Name string // empty: it has none
	kind string // content type
	data string // base64
}

// maxFileName is how long the name of a file may be, in characters.
const maxFileName = 255

// newFile makes a file of what somebody says of one.
func newFile(name, kind, data string) File {
	if media, _, err := mime.ParseMediaType(kind); err == nil && strings.Contains(media, "/") {
		kind = media
	} else if kind != "" {
		kind = "application/octet-stream"
	}
	name = path.Base(strings.ReplaceAll(strings.ToValidUTF8(name, "\uFFFD"), `\`, "/"))
	if name == "." || name == ".." || name == "/" {
		name = ""
	}
	return File{schema.Cut(name, maxFileName), kind, data}
}

// String returns the file as a data URL.
func (f File) String() string {
	return "data:" + url.PathEscape(f.kind) + ";name=" + url.PathEscape(f.Name) + ";base64," + f.data
}

// parseFile reads what String has written; it may have been changed since.
func parseFile(text string) (f File, ok bool) {
	head, data, found := strings.Cut(strings.TrimPrefix(text, "data:"), ";base64,")
	if !found {
		return File{}, false
	}
	kind, name, _ := strings.Cut(head, ";name=")
	kind, err1 := url.PathUnescape(kind)
	name, err2 := url.PathUnescape(name)
	_, err3 := base64.StdEncoding.DecodeString(data)
	return newFile(name, kind, data), err1 == nil && err2 == nil && err3 == nil
}

// fileOf reads JSON of a file: its bytes, or an object like workflow.File. It fails if that has more
// to it than a control can keep.
func fileOf(s *schema.Node, data json.RawMessage) (File, error) {
	var object struct{ Name, ContentType, Data string }
	into := any(&object)
	if s.Kind() == "string" {
		into = &object.Data
	}
	err := s.Check(data)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		return File{}, fmt.Errorf("read a file: %w", err)
	}
	f := File{object.Name, object.ContentType, object.Data}
	if kept, ok := parseFile(f.String()); !ok || kept != f || f.data == "" {
		return File{}, errors.New("it is not as a browser sends one")
	}
	return f, nil
}

// json returns the file as its schema has it.
func (f File) json(s *schema.Node) json.RawMessage {
	if s.Kind() == "string" {
		return encode(f.data)
	}
	members := object{}
	for _, m := range []struct{ name, value string }{{"name", f.Name}, {"contentType", f.kind}, {"data", f.data}} {
		if m.value != "" {
			members.add(m.name, encode(m.value))
		}
	}
	return members.json()
}

// Size is how long the file is, for people.
func (f File) Size() string {
	switch n := base64.StdEncoding.DecodedLen(len(f.data)) - strings.Count(f.data, "="); {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	default:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
}

// describe is what people read of the file.
func (f File) describe() string {
	if f.Name == "" {
		return "A file of " + f.Size()
	}
	return f.Name + " (" + f.Size() + ")"
}
