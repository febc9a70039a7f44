package analyzer

import (
	"go/ast"
	"go/types"
	"slices"

	"golang.org/x/tools/go/ast/inspector"
	"golang.org/x/tools/go/types/typeutil"
)

// checkMapRanges reports loops over maps whose bodies make durable calls: the order of a
// map is another one each time.
func (c *code) checkMapRanges(f *function) {
	f.own(func(cur inspector.Cursor) {
		loop, ok := cur.Node().(*ast.RangeStmt)
		if ok && c.isMapOrder(loop.X) && c.isDurable(cur.Child(loop.Body)) {
			c.report(loop.Pos(), "map", "ranging over a map makes durable calls in another order on replay: range over its keys in order, slices.Sorted(maps.Keys(m))")
		}
	})
}

// isMapOrder reports whether ranging over e has the order of a map.
func (c *code) isMapOrder(e ast.Expr) bool {
	if coreIs[*types.Map](c.pass.TypesInfo.TypeOf(e)) {
		return true
	}
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok {
		return false
	}
	fn := c.callee(call)
	if fn == nil || fn.Pkg() == nil {
		return false
	}
	switch fn.Pkg().Path() + "." + fn.Name() {
	case "maps.All", "maps.Keys", "maps.Values", "golang.org/x/exp/maps.Keys", "golang.org/x/exp/maps.Values":
		return true
	case "slices.Collect":
		return c.isMapOrder(call.Args[0])
	}
	return false
}

// isDurable reports whether the code at cur makes durable calls, or prepares some whose order
// counts: cases of a Select, functions for First and All.
func (c *code) isDurable(cur inspector.Cursor) bool {
	found := false
	cur.Inspect(nil, func(cur inspector.Cursor) bool {
		switch n := cur.Node().(type) {
		case *ast.FuncLit:
			found = found || c.at[n].context
		case *ast.CallExpr:
			found = found || c.isDurableCall(n) || c.isCase(n)
		case *ast.Ident:
			fn, ok := c.pass.TypesInfo.Uses[n].(*types.Func)
			found = found || ok && !c.isCalled(cur) && c.takesContext(fn.Signature())
		}
		return !found
	})
	return found
}

// isCalled reports whether the function value at cur is what a call calls.
func (c *code) isCalled(cur inspector.Cursor) bool {
	operand := c.operand(cur)
	call, ok := operand.Parent().Node().(*ast.CallExpr)
	return ok && call.Fun == operand.Node()
}

func (c *code) isCase(call *ast.CallExpr) bool {
	fn := c.callee(call)
	return fn != nil && isWorkflowPackage(fn.Pkg()) && slices.Contains(caseFunctions, symbol(fn))
}

// makesDurableCalls reports whether f, or a literal that it executes, makes durable calls.
func (c *code) makesDurableCalls(f *function) bool {
	found := slices.ContainsFunc(f.executes, func(literal *function) bool { return literal.durable })
	f.own(func(cur inspector.Cursor) {
		if call, ok := cur.Node().(*ast.CallExpr); ok && !found {
			found = c.isDurableCall(call)
		}
	})
	return found
}

// isDurableCall reports whether a call is recorded in the journal, or leads to one that is.
func (c *code) isDurableCall(call *ast.CallExpr) bool {
	switch callee := typeutil.Callee(c.pass.TypesInfo, call).(type) {
	case *types.Func:
		if isWorkflowPackage(callee.Pkg()) {
			name := symbol(callee)
			return c.passes(call) && !slices.Contains(lookers, name) || slices.Contains(durableMethods, name)
		}
		if f, ok := c.declared[callee]; ok {
			return f.durable
		}
		if b := c.imported(callee); b.Module != "" {
			return b.Durable
		}
	case *types.Var:
		if literals := c.bound[callee]; len(literals) > 0 {
			return slices.ContainsFunc(literals, func(literal *function) bool { return literal.durable })
		}
	}
	return c.passes(call)
}

// passes reports whether a call passes a workflow.Context on.
func (c *code) passes(call *ast.CallExpr) bool {
	fun := c.pass.TypesInfo.Types[call.Fun]
	return !fun.IsType() && c.takesContext(signature(fun.Type))
}

// passesContext reports whether f itself passes a workflow.Context on.
func (c *code) passesContext(f *function) bool {
	found := false
	f.own(func(cur inspector.Cursor) {
		if call, ok := cur.Node().(*ast.CallExpr); ok {
			found = found || c.passes(call)
		}
	})
	return found
}
