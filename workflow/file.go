package workflow

import "encoding/json"

// A File is a file in an input or a payload. Where people fill in a form, on an answer page or the
// dashboard, they choose one from their device. An empty file is refused; a *File with omitempty
// may be missing. The tag contentMediaType says what the browser offers to choose from:
//
//	Receipt *workflow.File `json:"receipt,omitempty" contentMediaType:"image/*,application/pdf"`
//
// Nothing checks that a file is of that type, or what it claims to be. A field of type []byte is filled
// in like a File, and has no name. The bytes are stored as base64, which adds a third,
// within engine.Options.MaxPayload; keep what is larger elsewhere, and send a link to it.
type File struct {
	Name        string `json:"name,omitempty"`        // as the sender says: do not use it as a path
	ContentType string `json:"contentType,omitempty"` // such as application/pdf, as the sender says
	Data        []byte `json:"data"`
}

// Schema implements [Schemer].
func (File) Schema() json.RawMessage {
	return json.RawMessage(`{"type":"object","format":"file","properties":{` +
		`"name":{"type":"string"},"contentType":{"type":"string"},"data":{"type":"string","contentEncoding":"base64","minLength":1}},` +
		`"required":["data"],"additionalProperties":false}`)
}
