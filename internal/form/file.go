package form

import (
	"encoding/base64"
	"encoding/json"
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

// newFile makes a file of what a browser has sent.
func newFile(name, contentType string, data []byte) File {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.Contains(kind, "/") {
		kind = "application/octet-stream"
	}
	name = strings.ToValidUTF8(path.Base(strings.ReplaceAll(name, `\`, "/")), "\uFFFD")
	return File{schema.Cut(name, maxFileName), kind, base64.StdEncoding.EncodeToString(data)}
}

// String returns the file as a data URL.
func (f File) String() string {
	return "data:" + f.kind + ";name=" + url.PathEscape(f.Name) + ";base64," + f.data
}

// parseFile reads what String has written.
func parseFile(text string) (f File, ok bool) {
	head, data, found := strings.Cut(strings.TrimPrefix(text, "data:"), ";base64,")
	if !found {
		return File{}, false
	}
	f.kind, f.Name, _ = strings.Cut(head, ";name=")
	f.data = data
	name, err := url.PathUnescape(f.Name)
	f.Name = name
	if _, wrong := base64.StdEncoding.DecodeString(data); err != nil || wrong != nil {
		return File{}, false
	}
	return f, true
}

// fileOf reads JSON of a file: its bytes, or an object like workflow.File.
func fileOf(data json.RawMessage) (File, error) {
	var object struct{ Name, ContentType, Data string }
	into := any(&object)
	if len(data) > 0 && data[0] == '"' {
		into = &object.Data
	}
	if err := json.Unmarshal(data, into); err != nil {
		return File{}, fmt.Errorf("read a file: %w", err)
	}
	return File{object.Name, object.ContentType, object.Data}, nil
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
