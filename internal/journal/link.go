package journal

import (
	"encoding/json"
)

// LabelLink is the label of the ID of a link: no other one has it, whatever a retry makes of the run.
func LabelLink(ref, hookID, addressee string) Label {
	return Label("link " + ref + " to " + hookID + " for " + addressee)
}

// Page is what a link offers to its addressee.
type Page struct {
	Generation int `json:"generation,omitempty"` // of the run that made the link

	Title   string            `json:"title,omitempty"`
	Text    string            `json:"text,omitempty"`
	Choices []json.RawMessage `json:"choices,omitempty"` // that the answer may have; none: all
	// Comment is a member of the answer that must not be empty with some choices.
	Comment     string            `json:"comment,omitempty"`
	CommentWith []json.RawMessage `json:"comment_with,omitempty"`
}

// Encode returns the stored form.
func (p *Page) Encode() []byte {
	data, err := json.Marshal(p)
	if err != nil {
		panic("journal: a page of a link cannot be encoded: " + err.Error()) // its values are JSON
	}
	return data
}

// DecodePage is the inverse of [Page.Encode].
func DecodePage(data []byte) (p Page) {
	_ = json.Unmarshal(data, &p) // what is stored was encoded
	return p
}
