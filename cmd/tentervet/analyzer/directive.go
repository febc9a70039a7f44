package analyzer

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// A directive is a comment that silences a line: "//lint:ignore tentervet REASON", the form of
// staticcheck.
type directive struct {
	pos    token.Pos
	reason string
	used   bool
}

const directivePrefix = "//lint:ignore "

func (c *code) findDirectives() {
	for _, file := range c.pass.Files {
		for _, group := range file.Comments {
			for _, comment := range group.List {
				if d := parseDirective(comment); d != nil {
					c.addDirective(d, group)
				}
			}
		}
	}
}

// parseDirective returns the directive that a comment is, if it is for this check.
func parseDirective(comment *ast.Comment) *directive {
	text, ok := strings.CutPrefix(comment.Text, directivePrefix)
	if !ok {
		return nil
	}
	text, _, _ = strings.Cut(text, " //") // a comment on the comment
	checks, reason, _ := strings.Cut(strings.TrimSpace(text), " ")
	if !slices.Contains(strings.Split(checks, ","), "tentervet") {
		return nil
	}
	return &directive{pos: comment.Pos(), reason: strings.TrimSpace(reason)}
}

// addDirective notes the line that a directive is for: its own if it stands behind code,
// otherwise the first one after the comment.
func (c *code) addDirective(d *directive, group *ast.CommentGroup) {
	at := c.pass.Fset.Position(d.pos)
	line := at.Line
	if !c.hasCodeBefore(at) {
		line = c.pass.Fset.Position(group.End()).Line + 1
	}
	if c.directives[at.Filename] == nil {
		c.directives[at.Filename] = map[int]*directive{}
	}
	c.directives[at.Filename][line] = d
}

func (c *code) hasCodeBefore(at token.Position) bool {
	source, err := c.pass.ReadFile(at.Filename)
	if err != nil || at.Offset > len(source) {
		return false
	}
	before := string(source[:at.Offset])
	return strings.TrimSpace(before[strings.LastIndexByte(before, '\n')+1:]) != ""
}

// ignored reports whether a directive silences the line of pos.
func (c *code) ignored(pos token.Pos) bool {
	at := c.pass.Fset.Position(pos)
	d := c.directives[at.Filename][at.Line]
	if d == nil || d.reason == "" {
		return false
	}
	d.used = true
	return true
}

// checkDirectives reports directives without a reason, and those that silence nothing.
func (c *code) checkDirectives() {
	for _, lines := range c.directives {
		for _, d := range lines {
			message := "the directive silences nothing: remove it"
			switch {
			case d.reason == "":
				message = "the directive has no reason, and silences nothing: //lint:ignore tentervet REASON"
			case d.used:
				continue
			}
			c.pass.Report(analysis.Diagnostic{Pos: d.pos, Category: "directive", Message: message})
		}
	}
}
