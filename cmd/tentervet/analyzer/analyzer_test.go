package analyzer

import (
	"go/token"
	"go/types"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/analysis/analysistest"
	"golang.org/x/tools/go/packages"
)

// TestRules checks the packages of testdata. Their comments say what has to be reported and
// where; nothing else may be.
func TestRules(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, result := range analysistest.Run(t, analysistest.TestData(), Analyzer, "./...") {
		name := path.Base(result.Action.Package.PkgPath)
		n := len(result.Action.Diagnostics)
		if silent := name == "newcomers" || name == "prices"; silent != (n == 0) {
			t.Errorf("package %s has %d findings", name, n)
		}
		for _, d := range result.Action.Diagnostics {
			seen[d.Category] = true
		}
	}
	for _, rule := range slices.Concat(slices.Collect(maps.Keys(rules)), []string{"map", "assign", "context", "directive"}) {
		if !seen[rule] {
			t.Errorf("testdata has nothing that breaks rule %s", rule)
		}
	}
}

// TestTable checks that what the table forbids exists.
func TestTable(t *testing.T) {
	t.Parallel()
	paths := map[string]bool{}
	for name := range hazardous {
		if pkg, _ := splitName(name); checkable(pkg) {
			paths[pkg] = true
		}
	}
	loaded := load(t, slices.Sorted(maps.Keys(paths))...)
	for _, name := range slices.Sorted(maps.Keys(hazardous)) {
		pkg, symbol := splitName(name)
		if !checkable(pkg) {
			continue
		}
		first, method, isMethod := strings.Cut(symbol, ".")
		if first == "*" {
			continue
		}
		obj := loaded[pkg].Scope().Lookup(first)
		if obj == nil {
			t.Errorf("%s: package %s has no %s", name, pkg, first)
			continue
		}
		if isMethod && method != "*" && lookupMethod(obj.Type(), method) == nil {
			t.Errorf("%s: type %s has no method %s", name, first, method)
		}
	}
}

// splitName splits a name of the table into the path of its package and the rest.
func splitName(name string) (pkg, symbol string) {
	base := strings.LastIndexByte(name, '/') + 1
	dot := base + strings.IndexByte(name[base:], '.')
	return name[:dot], name[dot+1:]
}

// checkable reports whether testdata can import a package: the standard library and Tenter.
func checkable(pkg string) bool {
	host, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(host, ".") || pkg == workflowPath
}

func lookupMethod(t types.Type, name string) *types.Func {
	if !types.IsInterface(t) {
		t = types.NewPointer(t)
	}
	obj, _, _ := types.LookupFieldOrMethod(t, false, nil, name)
	fn, _ := obj.(*types.Func)
	return fn
}

// TestWorkflowPackage compares what the check knows of package workflow with the package.
func TestWorkflowPackage(t *testing.T) {
	t.Parallel()
	pkg := load(t, workflowPath)[workflowPath]
	c := &code{}
	steps := map[string]int{}
	found := map[string]bool{}
	for _, fn := range exported(pkg) {
		name := symbol(fn)
		found[name] = true
		if c.takesContext(fn.Signature()) {
			for i := range fn.Signature().Params().Len() {
				if takesPlainContext(signature(fn.Signature().Params().At(i).Type())) {
					steps[name] = i
				}
			}
		}
		if takesPlainContext(fn.Signature()) && !slices.Contains(plain, name) && ruleFor(fn) == nil {
			t.Errorf("%s takes a context.Context: may workflow code call it? Add it to the table clients, or to plain", name)
		}
	}
	if !maps.Equal(steps, stepFunctions) {
		t.Errorf("the functions that take steps are %v, the check knows %v", steps, stepFunctions)
	}
	for _, name := range slices.Concat(lookers, durableMethods, caseFunctions, plain) {
		if !found[name] {
			t.Errorf("package workflow has no %s", name)
		}
	}
}

// plain take a context.Context, and workflow code may call them; or nobody does.
var plain = []string{
	"ActorOf", "WithActor",
	"InfoOf", "ClientFrom", "Request.HTTP", "Request.Respond", "Call.Return", "Call.Refuse", "Transactor.Transact",
	"UnimplementedClient.AwaitAnswer", "UnimplementedClient.AwaitRun", "UnimplementedClient.CallHook", "UnimplementedClient.CancelRun", "UnimplementedClient.ForkRun", "UnimplementedClient.HookByToken",
	"UnimplementedClient.PauseRun", "UnimplementedClient.PauseWorkflow", "UnimplementedClient.Publish", "UnimplementedClient.ResumeHook", "UnimplementedClient.ResumeRun", "UnimplementedClient.ResumeWorkflow",
	"UnimplementedClient.RetryRun", "UnimplementedClient.RunInfo", "UnimplementedClient.StartRun", "UnimplementedClient.TerminateRun", "UnimplementedClient.WakeRun",
}

// exported returns the exported functions and methods of a package.
func exported(pkg *types.Package) []*types.Func {
	var fns []*types.Func
	for _, name := range pkg.Scope().Names() {
		if !token.IsExported(name) {
			continue
		}
		switch obj := pkg.Scope().Lookup(name).(type) {
		case *types.Func:
			fns = append(fns, obj)
		case *types.TypeName:
			named, ok := obj.Type().(*types.Named)
			if !ok {
				continue
			}
			for fn := range named.Methods() {
				if fn.Exported() {
					fns = append(fns, fn)
				}
			}
			if iface, ok := named.Underlying().(*types.Interface); ok {
				for fn := range iface.ExplicitMethods() {
					if fn.Exported() {
						fns = append(fns, fn)
					}
				}
			}
		}
	}
	return fns
}

// load returns the types of packages, as testdata sees them.
func load(t *testing.T, paths ...string) map[string]*types.Package {
	t.Helper()
	pkgs, err := packages.Load(&packages.Config{
		Mode:    packages.NeedName | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedTypes | packages.NeedExportFile,
		Dir:     analysistest.TestData(),
		Context: t.Context(),
	}, paths...)
	if err != nil {
		t.Fatal(err)
	}
	loaded := map[string]*types.Package{}
	for _, p := range pkgs {
		for _, err := range p.Errors {
			t.Fatal(err)
		}
		loaded[p.PkgPath] = p.Types
	}
	return loaded
}
