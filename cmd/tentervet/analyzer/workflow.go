package analyzer

import (
	"go/ast"
	"go/types"
	"strings"
)

// What the check knows of package workflow. TestWorkflowPackage compares it with the package.

const workflowPath = "github.com/tenter-dev/tenter/workflow"

// stepFunctions have the parameter that takes the step's function.
var stepFunctions = map[string]int{"Step": 2, "Do": 2, "TxStep": 3, "TxDo": 3, "Compensate": 3}

// lookers take a workflow's context and leave no trace in the journal. All other functions that take
// one are durable: a new one needs an entry only if it is none of these.
var lookers = []string{"Now", "Logger", "RestartDue"}

// durableMethods are durable without a parameter that says so.
var durableMethods = []string{"Hook.Close", "Calls.Close", "Link.Revoke", "Request.Respond", "Call.Return", "Call.Refuse"}

// caseFunctions make cases of a Select, which tries them in their order.
var caseFunctions = []string{"OnPayload", "OnRequest", "OnCall", "OnDone", "OnTimer"}

func isWorkflowPackage(p *types.Package) bool {
	if p == nil {
		return false
	}
	path, _, _ := strings.Cut(p.Path(), " ") // go vet adds what a package is tested with
	return path == workflowPath
}

// isContext reports whether t is a workflow.Context, or a type that embeds one.
func (c *code) isContext(t types.Type) bool {
	if t == nil {
		return false
	}
	if named, ok := types.Unalias(t).(*types.Named); ok && named.Obj().Name() == "Context" && isWorkflowPackage(named.Obj().Pkg()) {
		return true
	}
	if c.context == nil {
		return false
	}
	switch types.Unalias(t).(type) {
	case *types.Basic, *types.Signature, *types.Tuple:
		return false
	}
	return types.Implements(t, c.context)
}

// contextInterface returns the interface workflow.Context, or nil if p does not import it.
func contextInterface(p *types.Package) *types.Interface {
	for _, imported := range p.Imports() {
		if isWorkflowPackage(imported) {
			if obj := imported.Scope().Lookup("Context"); obj != nil {
				iface, _ := obj.Type().Underlying().(*types.Interface)
				return iface
			}
		}
	}
	return nil
}

func isPlainContext(t types.Type) bool {
	named, ok := types.Unalias(t).(*types.Named)
	return ok && named.Obj().Name() == "Context" && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == "context"
}

// takesContext reports whether a function with this signature is workflow code.
func (c *code) takesContext(sig *types.Signature) bool { return hasParam(sig, c.isContext) }

// takesPlainContext reports whether a function with this signature is likely to be a step's:
// workflow code that was given a plain context can do nothing durable.
func takesPlainContext(sig *types.Signature) bool { return hasParam(sig, isPlainContext) }

func hasParam(sig *types.Signature, is func(types.Type) bool) bool {
	if sig == nil {
		return false
	}
	for v := range sig.Params().Variables() {
		if is(v.Type()) {
			return true
		}
	}
	return false
}

// isLogger reports whether call is workflow.Logger(ctx), which is allowed everywhere.
func (c *code) isLogger(call *ast.CallExpr) bool {
	fn := c.callee(call)
	return fn != nil && isWorkflowPackage(fn.Pkg()) && fn.Name() == "Logger"
}

// symbol returns the name of a function or method without its package: "Hook.Close".
func symbol(fn *types.Func) string {
	if recv := receiver(fn); recv != "" {
		return recv + "." + fn.Name()
	}
	return fn.Name()
}

// receiver returns the name of the type that fn is a method of, or "".
func receiver(fn *types.Func) string {
	recv := fn.Signature().Recv()
	if recv == nil {
		return ""
	}
	t := types.Unalias(recv.Type())
	if p, ok := t.(*types.Pointer); ok {
		t = types.Unalias(p.Elem())
	}
	if named, ok := t.(*types.Named); ok {
		return named.Obj().Name()
	}
	return ""
}
