package analyzer

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"

	"golang.org/x/tools/go/ast/edge"
	"golang.org/x/tools/go/ast/inspector"
)

// A hazard is a place where a function does what workflow code may not do.
type hazard struct {
	pos  token.Pos
	rule *rule
	what string
}

// inspect finds the hazards and calls of each function, literals apart.
func (c *code) inspect() {
	for _, f := range c.functions {
		f.own(func(cur inspector.Cursor) {
			if r, what := c.hazardAt(cur); r != nil && !c.ignored(cur.Node().Pos()) {
				f.hazards = append(f.hazards, hazard{cur.Node().Pos(), r, what})
			}
			if id, ok := cur.Node().(*ast.Ident); ok {
				if fn, ok := c.pass.TypesInfo.Uses[id].(*types.Func); ok {
					if use, _ := c.useOf(cur, fn.Signature()); use == executed {
						f.calls = append(f.calls, call{cur, fn.Origin()})
					}
				}
			}
		})
	}
}

// hazardAt returns the rule that a node breaks by itself, and what it does.
func (c *code) hazardAt(cur inspector.Cursor) (*rule, string) {
	switch n := cur.Node().(type) {
	case *ast.GoStmt:
		return goroutineRule, "a goroutine"
	case *ast.SelectStmt:
		return selectRule, "select"
	case *ast.SendStmt:
		if !isComm(cur) {
			return channelRule, "sending to a channel"
		}
	case *ast.UnaryExpr:
		if n.Op == token.ARROW && !isComm(cur) {
			return channelRule, "receiving from a channel"
		}
	case *ast.RangeStmt:
		if coreIs[*types.Chan](c.pass.TypesInfo.TypeOf(n.X)) {
			return channelRule, "ranging over a channel"
		}
	case *ast.CallExpr:
		if id, ok := ast.Unparen(n.Fun).(*ast.Ident); ok && id.Name == "close" && c.isBuiltin(n) {
			return channelRule, "closing a channel"
		}
	case *ast.Ident:
		obj := c.pass.TypesInfo.Uses[n]
		if r := ruleFor(obj); r != nil && !c.readsEmbedded(cur, obj) {
			return r, display(obj)
		}
	}
	return nil, ""
}

// isComm reports whether cur is the channel operation of a case of a select statement, which is
// reported as a whole.
func isComm(cur inspector.Cursor) bool {
	for ; cur.Node() != nil; cur = cur.Parent() {
		if cur.ParentEdgeKind() == edge.CommClause_Comm {
			return true
		}
		if _, ok := cur.Node().(ast.Stmt); ok {
			return false
		}
	}
	return false
}

// readsEmbedded reports whether obj is a function of io/fs that reads embedded files: they are part of
// the binary.
func (c *code) readsEmbedded(cur inspector.Cursor, obj types.Object) bool {
	if obj.Pkg().Path() != "io/fs" {
		return false
	}
	call, ok := c.operand(cur).Parent().Node().(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return false
	}
	named, ok := types.Unalias(c.pass.TypesInfo.TypeOf(call.Args[0])).(*types.Named)
	return ok && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == "embed"
}

// coreIs reports whether t, or each type of its type set, is a T.
func coreIs[T types.Type](t types.Type) bool {
	if t == nil {
		return false
	}
	if _, ok := t.Underlying().(T); ok {
		return true
	}
	param, ok := types.Unalias(t).(*types.TypeParam)
	if !ok {
		return false
	}
	iface, ok := param.Constraint().Underlying().(*types.Interface)
	if !ok || iface.NumEmbeddeds() == 0 {
		return false
	}
	for e := range iface.EmbeddedTypes() {
		union, ok := e.(*types.Union)
		if !ok {
			return coreIs[T](e)
		}
		for term := range union.Terms() {
			if !coreIs[T](term.Type()) {
				return false
			}
		}
	}
	return true
}

// display returns the name of obj as code has it: "http.Client.Do".
func display(obj types.Object) string {
	name := obj.Name()
	if fn, ok := obj.(*types.Func); ok {
		name = symbol(fn)
	}
	return obj.Pkg().Name() + "." + name
}

// checkHazards reports what workflow code does, and what it calls that does it.
func (c *code) checkHazards(f *function) {
	for _, h := range f.hazards {
		c.report(h.pos, h.rule.name, fmt.Sprintf("%s %s: %s", h.what, h.rule.problem, h.rule.remedy()))
	}
	for _, call := range f.calls {
		for _, r := range c.reasonsOf(call.fn) {
			c.report(call.cur.Node().Pos(), r.Rule, r.message(c.name(call.fn)))
		}
	}
}

func (r *rule) remedy() string {
	if r.instead == "" {
		return "move it into a step, workflow.Step or workflow.Do"
	}
	return r.instead
}

// name returns the name of a function as code of this package has it.
func (c *code) name(fn *types.Func) string {
	if fn.Pkg() == c.pass.Pkg {
		return symbol(fn)
	}
	return display(fn)
}

// place returns a position for people: "price.go:10".
func (c *code) place(pos token.Pos) string {
	at := c.pass.Fset.Position(pos)
	return fmt.Sprintf("%s:%d", filepath.Base(at.Filename), at.Line)
}
