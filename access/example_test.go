package access_test

import (
	"fmt"
	"net/http/httptest"

	"github.com/tenter-dev/tenter/access"
)

// Two tokens: one looks, the other acts.
func ExamplePolicy() {
	guard := access.NewGuard(access.Policy{Tokens: []access.Token{
		{Secret: "read-me-rT5k2wQ8", Scope: access.Read}, // from the environment, in a real program
		{Secret: "write-me-x9Lm4Vp1", Scope: access.Write},
	}})
	r := httptest.NewRequest("GET", "/", nil)
	fmt.Println(guard.Check(r))
	r.Header.Set("Authorization", "Bearer read-me-rT5k2wQ8")
	fmt.Println(guard.Check(r))
	// Output:
	// none a token is needed: send it as Authorization: Bearer TOKEN
	// read <nil>
}
