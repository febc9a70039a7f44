package analyzer

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
)

// Behavior is what callers in other packages need to know of a function: a fact.
type Behavior struct {
	Module     string
	Reasons    []Reason // why workflow code should not call it
	Durable    bool     // it makes durable calls
	StepParams []int    // parameters that it gives to a step and does nothing else with
}

// AFact says that a Behavior is a fact.
func (*Behavior) AFact() {}

func (b *Behavior) String() string {
	var parts []string
	for _, r := range b.Reasons {
		parts = append(parts, r.Rule+" "+r.What)
	}
	if b.Durable {
		parts = append(parts, "durable")
	}
	if len(b.StepParams) > 0 {
		parts = append(parts, fmt.Sprint("steps ", b.StepParams))
	}
	return strings.Join(parts, ", ")
}

// A Reason is why workflow code should not call a function.
type Reason struct {
	Rule string
	What string // "time.Now"
	At   string // file:line of it
	Via  string // the function in which it is, if that is another one
}

// message says why a call of the function with this name is a problem.
func (r Reason) message(name string) string {
	broken := rules[r.Rule]
	where := r.At
	if r.Via != "" {
		where = "in " + r.Via + ", " + r.At
	}
	remedy := "call " + name + " in a step"
	if broken.instead != "" {
		remedy += ", or " + broken.instead
	}
	return fmt.Sprintf("%s reaches %s (%s), which %s: %s", name, r.What, where, broken.problem, remedy)
}

// findWorkflows marks workflow code: what takes a workflow.Context or makes durable calls, and
// the literals that it executes.
func (c *code) findWorkflows() {
	for _, f := range c.functions {
		f.workflow = f.context || !f.step && c.passesContext(f)
	}
	for changed := true; changed; {
		changed = false
		for _, f := range c.functions {
			for _, caller := range f.callers {
				if caller.workflow && !f.workflow {
					f.workflow, changed = true, true
				}
			}
		}
	}
	for changed := true; changed; {
		changed = false
		for _, f := range c.functions {
			if !f.durable && c.makesDurableCalls(f) {
				f.durable, changed = true, true
			}
		}
	}
}

// summarize finds, for functions that are not workflow code, the reasons why workflow code should not
// call them: one for each rule.
func (c *code) summarize() {
	for changed := true; changed; {
		changed = false
		for _, f := range c.functions {
			if f.obj == nil || f.workflow {
				continue
			}
			if reasons := c.findReasons(f); len(reasons) > len(f.reasons) {
				f.reasons, changed = reasons, true
			}
		}
	}
}

func (c *code) findReasons(f *function) []Reason {
	reasons := f.reasons
	add := func(r Reason) {
		if !slices.ContainsFunc(reasons, func(have Reason) bool { return have.Rule == r.Rule }) {
			reasons = append(reasons, r)
		}
	}
	region := f.region(nil)
	for _, part := range region {
		for _, h := range part.hazards {
			add(Reason{Rule: h.rule.name, What: h.what, At: c.place(h.pos)})
		}
	}
	for _, part := range region {
		for _, call := range part.calls {
			inherited := c.reasonsOf(call.fn)
			if len(inherited) == 0 || c.ignored(call.cur.Node().Pos()) {
				continue
			}
			for _, r := range inherited {
				if r.Via == "" {
					r.Via = c.name(call.fn)
				}
				add(r)
			}
		}
	}
	return reasons
}

// region returns f and the literals that are executed in it.
func (f *function) region(found []*function) []*function {
	found = append(found, f)
	for _, literal := range f.executes {
		if !slices.Contains(found, literal) {
			found = literal.region(found)
		}
	}
	return found
}

// module returns the path of the module that the package is in, or "".
func (c *code) module() string {
	if c.pass.Module == nil {
		return ""
	}
	return c.pass.Module.Path
}

// reasonsOf returns why workflow code should not call fn. Code of other modules is taken to be
// fit for it, unless a rule says otherwise.
func (c *code) reasonsOf(fn *types.Func) []Reason {
	if f, ok := c.declared[fn]; ok {
		return f.reasons
	}
	if b := c.imported(fn); b.Module != "" && b.Module == c.module() {
		return b.Reasons
	}
	return nil
}

// imported returns what is known of a function of another package.
func (c *code) imported(fn *types.Func) *Behavior {
	b := new(Behavior)
	if fn != nil && fn.Pkg() != nil && fn.Pkg() != c.pass.Pkg {
		c.pass.ImportObjectFact(fn, b)
	}
	return b
}

// exportBehavior notes what other packages may need to know.
func (c *code) exportBehavior() {
	module := c.module()
	if module == "" {
		return
	}
	for _, f := range c.functions {
		if f.obj == nil || !f.obj.Exported() || len(f.reasons) == 0 && !f.context && !f.durable && len(f.stepParams) == 0 {
			continue
		}
		c.pass.ExportObjectFact(f.obj, &Behavior{
			Module:     module,
			Reasons:    f.reasons,
			Durable:    f.durable,
			StepParams: slices.Sorted(slices.Values(f.stepParams)),
		})
	}
}
