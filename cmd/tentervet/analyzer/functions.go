package analyzer

import (
	"go/ast"
	"go/types"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/inspect"
	"golang.org/x/tools/go/ast/edge"
	"golang.org/x/tools/go/ast/inspector"
	"golang.org/x/tools/go/types/typeutil"
)

// code is a package with what is known of its functions.
type code struct {
	pass    *analysis.Pass
	root    inspector.Cursor
	context *types.Interface // workflow.Context

	functions  []*function // in the order of the source
	at         map[ast.Node]*function
	declared   map[*types.Func]*function
	bound      map[*types.Var][]*function        // variables that have literals as values
	uses       map[*types.Var][]inspector.Cursor // of variables that have functions as values
	directives map[string]map[int]*directive     // by file and line
}

// A function is a declared function or a literal.
type function struct {
	cur   inspector.Cursor
	sig   *types.Signature
	obj   *types.Func // of a declared one
	outer *function   // the one that a literal stands in

	context  bool // it takes a workflow.Context
	step     bool // it is executed in a step
	workflow bool // it is workflow code
	durable  bool // it makes durable calls

	stepParams []int // parameters that it gives to a step, and does nothing else with

	callers  []*function // those that execute the literal where they use it
	given    []handover  // calls that take the literal as a step
	executes []*function // literals of which this one is a caller

	hazards []hazard
	calls   []call
	reasons []Reason // why workflow code should not call it
}

// A handover is a call that gives a function to a step.
type handover struct {
	in   *function // nil at package level
	call inspector.Cursor
}

// A call is a call, or a use of a function that may end in one.
type call struct {
	cur inspector.Cursor
	fn  *types.Func
}

func newCode(pass *analysis.Pass) *code {
	return &code{
		pass:       pass,
		root:       pass.ResultOf[inspect.Analyzer].(*inspector.Inspector).Root(),
		context:    contextInterface(pass.Pkg),
		at:         map[ast.Node]*function{},
		declared:   map[*types.Func]*function{},
		bound:      map[*types.Var][]*function{},
		uses:       map[*types.Var][]inspector.Cursor{},
		directives: map[string]map[int]*directive{},
	}
}

func (c *code) findFunctions() {
	c.findDirectives()
	for cur := range c.root.Preorder((*ast.FuncDecl)(nil), (*ast.FuncLit)(nil)) {
		c.add(cur)
	}
	for cur := range c.root.Preorder((*ast.Ident)(nil)) {
		if v, ok := c.pass.TypesInfo.Uses[cur.Node().(*ast.Ident)].(*types.Var); ok && !v.IsField() && signature(v.Type()) != nil {
			c.uses[v] = append(c.uses[v], cur)
		}
	}
}

func (c *code) add(cur inspector.Cursor) {
	f := &function{cur: cur}
	switch n := cur.Node().(type) {
	case *ast.FuncDecl:
		f.obj, _ = c.pass.TypesInfo.Defs[n.Name].(*types.Func)
		if f.obj == nil || n.Body == nil {
			return
		}
		f.sig = f.obj.Signature()
		c.declared[f.obj] = f
	case *ast.FuncLit:
		f.sig = signature(c.pass.TypesInfo.TypeOf(n))
		f.outer = c.enclosing(cur.Parent())
		if v := c.variable(c.operand(cur)); v != nil {
			c.bound[v] = append(c.bound[v], f)
		}
	}
	f.context = c.takesContext(f.sig)
	c.at[cur.Node()] = f
	c.functions = append(c.functions, f)
}

// signature returns the signature of a function type, or nil.
func signature(t types.Type) *types.Signature {
	if t == nil {
		return nil
	}
	sig, _ := t.Underlying().(*types.Signature)
	return sig
}

// enclosing returns the function that cur is in, or nil at package level.
func (c *code) enclosing(cur inspector.Cursor) *function {
	if !cur.Valid() || cur.Node() == nil {
		return nil
	}
	for around := range cur.Enclosing((*ast.FuncDecl)(nil), (*ast.FuncLit)(nil)) {
		return c.at[around.Node()]
	}
	return nil
}

// own calls visit for the nodes of f, without those of the literals in it.
func (f *function) own(visit func(inspector.Cursor)) {
	f.cur.Inspect(nil, func(cur inspector.Cursor) bool {
		if _, literal := cur.Node().(*ast.FuncLit); literal && cur != f.cur {
			return false
		}
		visit(cur)
		return true
	})
}

// callee returns the function or method that a call names, or nil.
func (c *code) callee(call *ast.CallExpr) *types.Func {
	fn, _ := typeutil.Callee(c.pass.TypesInfo, call).(*types.Func)
	return fn
}

// operand climbs from a function value to the whole of the operand that it is: past
// parentheses, qualifiers, type arguments and conversions.
func (c *code) operand(cur inspector.Cursor) inspector.Cursor {
	for {
		kind := cur.ParentEdgeKind()
		switch kind {
		case edge.ParenExpr_X, edge.SelectorExpr_Sel, edge.IndexExpr_X, edge.IndexListExpr_X:
		case edge.CallExpr_Args:
			if !c.pass.TypesInfo.Types[cur.Parent().Node().(*ast.CallExpr).Fun].IsType() {
				return cur
			}
		default:
			return cur
		}
		cur = cur.Parent()
	}
}

// variable returns the variable that an operand is assigned to, or nil.
func (c *code) variable(cur inspector.Cursor) *types.Var {
	kind, i := cur.ParentEdge()
	var to ast.Expr
	switch parent := cur.Parent().Node().(type) {
	case *ast.AssignStmt:
		if kind == edge.AssignStmt_Rhs && len(parent.Lhs) == len(parent.Rhs) {
			to = parent.Lhs[i]
		}
	case *ast.ValueSpec:
		if kind == edge.ValueSpec_Values && len(parent.Names) == len(parent.Values) {
			to = parent.Names[i]
		}
	}
	if id, ok := to.(*ast.Ident); ok {
		v, _ := c.pass.TypesInfo.ObjectOf(id).(*types.Var)
		return v
	}
	return nil
}

// A use is what becomes of a function value.
type use int

const (
	kept     use = iota // nothing is known: it is stored, returned, or given to a goroutine
	compared            // it is compared with nil
	executed            // it is called, or given to a function that may call it
	stepped             // it is given to a step
)

// useOf returns what becomes of the function value at cur, and the call that does it.
func (c *code) useOf(cur inspector.Cursor, sig *types.Signature) (use, inspector.Cursor) {
	cur = c.operand(cur)
	kind, i := cur.ParentEdge()
	parent := cur.Parent()
	if kind == edge.BinaryExpr_X || kind == edge.BinaryExpr_Y {
		return compared, parent
	}
	call, ok := parent.Node().(*ast.CallExpr)
	switch {
	case !ok || parent.ParentEdgeKind() == edge.GoStmt_Call:
		return kept, parent
	case kind == edge.CallExpr_Fun:
		return executed, parent
	case c.isStepParam(call, i):
		return stepped, parent
	case c.isBuiltin(call) || takesPlainContext(sig):
		return kept, parent // append; likely to be a step's
	default:
		return executed, parent
	}
}

func (c *code) isBuiltin(call *ast.CallExpr) bool {
	_, ok := typeutil.Callee(c.pass.TypesInfo, call).(*types.Builtin)
	return ok
}
