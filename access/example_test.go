package access_test

import (
	"fmt"
	"net/http/httptest"

	"github.com/tenter-dev/tenter/access"
)

// Two keys: one looks, the other acts.
func ExamplePolicy() {
	guard := access.NewGuard(access.Policy{APIKeys: []access.APIKey{
		{Secret: "read-me-rT5k2wQ8", Scope: access.Read}, // from the environment, in a real program
		{Secret: "write-me-x9Lm4Vp1", Scope: access.Write},
	}})
	r := httptest.NewRequest("GET", "/", nil)
	fmt.Println(guard.Check(r))
	r.Header.Set("Authorization", "Bearer read-me-rT5k2wQ8")
	fmt.Println(guard.Check(r))
	// Output:
	// none an API key is needed: send it as Authorization: Bearer KEY
	// read <nil>
}
