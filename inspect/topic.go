package inspect

import (
	"cmp"
	"time"
)

// Topic is a topic and a subject that open hooks listen to.
type Topic struct {
	Topic     string `json:"topic"`
	Subject   string `json:"subject"`
	Listeners int    `json:"listeners"`        // how many hooks listen
	Behind    bool   `json:"behind,omitempty"` // some of them have still to get what was published

	// PublishedAt is when something was last published. Zero: nothing has been since somebody listens.
	PublishedAt time.Time `json:"published_at,omitzero"`

	Cursor string `json:"cursor,omitempty"` // where a list goes on after it
}

// TopicFilter selects topics that hooks listen to. Zero fields ask for nothing.
type TopicFilter struct {
	Topic string `json:"topic,omitempty"` // only this one, with all its subjects

	// After continues a list: the Cursor of the last item of the page before, to which nobody need
	// listen any more. Others are [ErrInvalidCursor].
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"` // 1 to MaxLimit; 0 is 100
}

// Validate says what is wrong with a filter.
func (f TopicFilter) Validate() error {
	return cmp.Or(checkText("topic", f.Topic), checkText("after", f.After), checkLimit(f.Limit))
}
