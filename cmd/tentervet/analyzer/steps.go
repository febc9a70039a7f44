package analyzer

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/ast/edge"
	"golang.org/x/tools/go/ast/inspector"
	"golang.org/x/tools/go/types/typeutil"
)

// findSteps finds the literals that are executed in steps, and the parameters that are
// given to them. Each depends on the other.
func (c *code) findSteps() {
	for {
		for _, f := range c.functions {
			if f.obj == nil {
				c.placeLiteral(f)
			}
		}
		c.spreadSteps()
		if !c.findStepParams() {
			break
		}
	}
	for _, f := range c.functions {
		for _, caller := range f.callers {
			caller.executes = append(caller.executes, f)
		}
	}
}

// placeLiteral determines who executes a literal: where it stands, or where the variable is
// used that has it.
func (c *code) placeLiteral(f *function) {
	f.callers, f.given = nil, nil
	places := []inspector.Cursor{f.cur}
	if v := c.variable(c.operand(f.cur)); v != nil {
		places = append(places, c.uses[v]...)
	}
	for _, at := range places {
		in := c.enclosing(at.Parent())
		use, call := c.useOf(at, f.sig)
		if use == stepped {
			f.given = append(f.given, handover{in, call})
		}
		if use == executed && in != nil && in != f && !f.context {
			f.callers = append(f.callers, in)
		}
	}
}

// spreadSteps marks the literals that are given to steps, and those that they execute or
// have in them.
func (c *code) spreadSteps() {
	for changed := true; changed; {
		changed = false
		for _, f := range c.functions {
			if f.step || f.obj != nil || f.context {
				continue
			}
			inStep := func(g *function) bool { return g.step }
			if len(f.given) > 0 || f.outer != nil && f.outer.step || slices.ContainsFunc(f.callers, inStep) {
				f.step, changed = true, true
			}
		}
	}
}

// findStepParams finds parameters that are used for nothing but steps, and reports whether
// there are any new ones.
func (c *code) findStepParams() (more bool) {
	for _, f := range c.functions {
		for i := range f.sig.Params().Len() {
			if !slices.Contains(f.stepParams, i) && c.onlyInSteps(f.sig.Params().At(i)) {
				f.stepParams, more = append(f.stepParams, i), true
			}
		}
	}
	return more
}

func (c *code) onlyInSteps(v *types.Var) bool {
	found := false
	for _, at := range c.uses[v] {
		use, _ := c.useOf(at, signature(v.Type()))
		in := c.enclosing(at)
		switch {
		case use == compared:
		case use == stepped || in != nil && in.step:
			found = true
		default:
			return false
		}
	}
	return found
}

// isStepParam reports whether argument i of a call is given to a step.
func (c *code) isStepParam(call *ast.CallExpr, i int) bool {
	switch callee := typeutil.Callee(c.pass.TypesInfo, call).(type) {
	case *types.Func:
		if isWorkflowPackage(callee.Pkg()) {
			at, ok := stepFunctions[symbol(callee)]
			return ok && at == i
		}
		if f, ok := c.declared[callee]; ok {
			return slices.Contains(f.stepParams, i)
		}
		return slices.Contains(c.imported(callee).StepParams, i)
	case *types.Var:
		return slices.ContainsFunc(c.bound[callee], func(f *function) bool { return slices.Contains(f.stepParams, i) })
	}
	return false
}

// checkAssignments checks the step f for assignments to variables of the workflow.
func (c *code) checkAssignments(f *function) {
	f.own(func(cur inspector.Cursor) {
		for _, target := range c.targets(cur.Node()) {
			if v := c.variableOf(target); v != nil && c.isWorkflowVariable(f, v) {
				c.report(target.Pos(), "assign", fmt.Sprintf(
					"the step assigns to %s, a variable of the workflow: a replay does not execute the step, and the value is lost: return it from the step", v.Name()))
			}
		}
	})
}

// targets returns the operands that a node assigns to.
func (c *code) targets(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		return n.Lhs // variables that it declares are the step's own
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			return slices.DeleteFunc([]ast.Expr{n.Key, n.Value}, func(e ast.Expr) bool { return e == nil })
		}
	case *ast.CallExpr:
		return c.decoded(n)
	}
	return nil
}

// decoded returns the arguments that a call fills: those of delete, clear and copy, and
// addresses that are given to functions that decode.
func (c *code) decoded(call *ast.CallExpr) []ast.Expr {
	if id, ok := ast.Unparen(call.Fun).(*ast.Ident); ok && c.isBuiltin(call) && slices.Contains([]string{"delete", "clear", "copy"}, id.Name) {
		return call.Args[:1]
	}
	fn := c.callee(call)
	if fn == nil || !decodes(fn.Name()) {
		return nil
	}
	var targets []ast.Expr
	for _, arg := range call.Args {
		if addr, ok := ast.Unparen(arg).(*ast.UnaryExpr); ok && addr.Op == token.AND {
			targets = append(targets, addr.X)
		}
	}
	return targets
}

func decodes(name string) bool {
	for _, prefix := range []string{"Unmarshal", "Decode", "Scan", "Sscan", "Fscan"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name == "As" // errors.As
}

// variableOf returns the variable that an operand is, or is in.
func (c *code) variableOf(e ast.Expr) *types.Var {
	for {
		switch x := ast.Unparen(e).(type) {
		case *ast.Ident:
			v, _ := c.pass.TypesInfo.Uses[x].(*types.Var)
			return v
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// isWorkflowVariable reports whether v is declared in the workflow that f is a step of, and
// outlives the step.
func (c *code) isWorkflowVariable(f *function, v *types.Var) bool {
	in := f.declarer(v)
	if in == nil || in.step || in.sig.Recv() == v {
		return false
	}
	for _, given := range f.handovers(map[*function]bool{}) {
		if given.in.workflowAround().has(in) && !c.isOverwritten(given.call, in, v) {
			return true
		}
	}
	return false
}

// declarer returns the function around f in which v is declared, or nil if it is declared in f
// or in none.
func (f *function) declarer(v *types.Var) *function {
	for in := f; in != nil; in = in.outer {
		if n := in.cur.Node(); n.Pos() <= v.Pos() && v.Pos() < n.End() {
			if in == f {
				return nil
			}
			return in
		}
	}
	return nil
}

// handovers returns the calls that give f, or a function that executes it, to a step.
func (f *function) handovers(seen map[*function]bool) []handover {
	if f == nil || seen[f] || !f.step {
		return nil
	}
	seen[f] = true
	all := slices.Concat(f.given, f.outer.handovers(seen))
	for _, caller := range f.callers {
		all = append(all, caller.handovers(seen)...)
	}
	return all
}

// workflowAround returns the outermost function around f that takes a workflow.Context, or the
// outermost one.
func (f *function) workflowAround() *function {
	var around *function
	for g := f; g != nil; g = g.outer {
		if g.context || around == nil || !around.context {
			around = g
		}
	}
	return around
}

// has reports whether in is f, or in it.
func (f *function) has(in *function) bool {
	for ; in != nil; in = in.outer {
		if in == f {
			return true
		}
	}
	return false
}

// isOverwritten reports whether the statement that executes the step assigns the step's own
// result to v: err = workflow.Do(…), or a return in a function that has v as a named result.
func (c *code) isOverwritten(call inspector.Cursor, in *function, v *types.Var) bool {
	switch stmt := call.Parent().Node().(type) {
	case *ast.AssignStmt:
		return call.ParentEdgeKind() == edge.AssignStmt_Rhs && slices.ContainsFunc(stmt.Lhs, func(e ast.Expr) bool {
			id, ok := e.(*ast.Ident)
			return ok && c.pass.TypesInfo.ObjectOf(id) == v
		})
	case *ast.ReturnStmt:
		return len(stmt.Results) == 1 && slices.Contains(slices.Collect(in.sig.Results().Variables()), v)
	}
	return false
}

// checkContexts checks the step f for uses of the workflow's context.
func (c *code) checkContexts(f *function) {
	seen := map[string]bool{}
	f.own(func(cur inspector.Cursor) {
		name, ok := c.workflowContext(f, cur)
		if !ok || seen[name] {
			return
		}
		if call, ok := c.operand(cur).Parent().Node().(*ast.CallExpr); ok && c.isLogger(call) {
			return
		}
		seen[name] = true
		c.report(cur.Node().Pos(), "context", fmt.Sprintf(
			"the step uses %s, the context of the workflow, which fails with workflow.ErrNotInWorkflow in steps: use the context that the step's function gets", name))
	})
}

// workflowContext returns the name of the workflow's context if cur is a use of it.
func (c *code) workflowContext(f *function, cur inspector.Cursor) (string, bool) {
	switch n := cur.Node().(type) {
	case *ast.Ident:
		v, ok := c.pass.TypesInfo.Uses[n].(*types.Var)
		if !ok || v.IsField() || !c.isContext(v.Type()) || c.isFieldOf(cur) {
			return "", false
		}
		in := f.declarer(v)
		return v.Name(), in != nil && !in.step || v.Parent() == c.pass.Pkg.Scope()
	case *ast.SelectorExpr:
		s := c.pass.TypesInfo.Selections[n]
		return types.ExprString(n), s != nil && s.Kind() == types.FieldVal && c.isContext(s.Type())
	}
	return "", false
}

// isFieldOf reports whether a field is selected from the value at cur.
func (c *code) isFieldOf(cur inspector.Cursor) bool {
	sel, ok := cur.Parent().Node().(*ast.SelectorExpr)
	if !ok || cur.ParentEdgeKind() != edge.SelectorExpr_X {
		return false
	}
	s := c.pass.TypesInfo.Selections[sel]
	return s != nil && s.Kind() == types.FieldVal
}
