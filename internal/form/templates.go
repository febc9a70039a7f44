package form

import "embed"

// Templates define templates of html/template that pages share: "form" and "switch" of a Form,
// "form-buttons" of one that has Buttons, "field" of a Field, and "facts" of Facts.
//
//go:embed templates/form.html
var Templates embed.FS

// Stylesheet is how they look. The page sets its colors: --line, --edge, --soft, --bad, --accent,
// --card, and --hover.
//
//go:embed form.css
var Stylesheet []byte

// Anchor is the ID of the element to go to when something is wrong with the field.
func (c *Field) Anchor() string {
	if c.Error == "" && c.MemberError != "" {
		return c.ID + "-name"
	}
	return c.ID
}
