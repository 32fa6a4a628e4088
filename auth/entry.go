package auth

import (
	"fmt"
	"sync/atomic"

	"dovetail/formats/conf/variable"
)

// PassEntry is one passdb with its place in the chain.
type PassEntry struct {
	Driver string // "sql"; begins lines of the log unless there is a Name
	Name   string
	DB     PassDB
	Scheme string // of passwords without {SCHEME}; empty: PLAIN
	Skip   Skip

	// What an answer means; empty: return-ok, continue, continue.
	Success, Failure, InternalFailure Rule

	Deny   bool // who is found is refused
	Master bool // asked for users who log in as others, only

	Mechanisms     []string // asked for these only ("none": lookups); empty: for all
	UsernameFilter []string // asked for names with these wildcards only; "!" before one refuses

	Defaults []FieldTemplate // set before the database is asked
	Fields   []FieldTemplate // set when it has answered
	// FieldsFirst: Fields are set before the password is checked, as in 2.4, not after, as in 2.3.
	FieldsFirst bool
	// ImportAll: what the database gives are fields; if not, they only are for Fields to use, as %{DRIVER:KEY}.
	ImportAll bool
}

// UserEntry is one userdb with its place in the chain.
type UserEntry struct {
	Driver, Name string
	DB           UserDB
	Skip         Skip

	Success, Failure, InternalFailure Rule

	// AskPass: unless this is part of a login, the passdbs are asked whether there is such a user, as userdb static
	// does without allow_all_users.
	AskPass bool

	Defaults, Fields       []FieldTemplate
	FieldsFirst, ImportAll bool // without ImportAll, Fields always are first
}

// FieldTemplate is a field that the configuration sets. A Key that ends in ":protected" or ":default" leaves alone
// what is there; ":remove" takes it away.
type FieldTemplate struct {
	Key   string
	Value *variable.Template
}

// Skip is when a database is not asked: "never" (or empty); for a passdb "authenticated" (once a password was right)
// and "unauthenticated"; for a userdb "found" (once one has known the user) and "notfound".
type Skip string

const (
	SkipNever           Skip = "never"
	SkipAuthenticated   Skip = "authenticated"
	SkipUnauthenticated Skip = "unauthenticated"
	SkipFound           Skip = "found"
	SkipNotFound        Skip = "notfound"
)

func (s Skip) isPass() bool {
	return s == "" || s == SkipNever || s == SkipAuthenticated || s == SkipUnauthenticated
}

func (s Skip) isUser() bool { return s == "" || s == SkipNever || s == SkipFound || s == SkipNotFound }

// Rule is what the answer of a database means for its chain.
type Rule string

const (
	Return       Rule = "return"        // the end, with what was reached so far; failure at first
	ReturnOK     Rule = "return-ok"     // the end, with success
	ReturnFail   Rule = "return-fail"   // the end, with failure
	Continue     Rule = "continue"      // the next one is asked
	ContinueOK   Rule = "continue-ok"   // so far this is a success
	ContinueFail Rule = "continue-fail" // so far this is a failure
)

// fillRules gives rules that are not set their default, which are the same for both kinds of chains.
func fillRules(success, failure, internal *Rule) error {
	for _, x := range []struct {
		rule     *Rule
		name     string
		fallback Rule
	}{{success, "result_success", ReturnOK}, {failure, "result_failure", Continue}, {internal, "result_internalfail", Continue}} {
		switch *x.rule {
		case "":
			*x.rule = x.fallback
		case Return, ReturnOK, ReturnFail, Continue, ContinueOK, ContinueFail:
		default:
			return fmt.Errorf("Invalid %s %q", x.name, *x.rule)
		}
	}
	return nil
}

// passdb is an entry in its chain.
type passdb struct {
	PassEntry
	number int
	key    []string    // variables on which answers depend; none: nothing is kept
	warned atomic.Bool // that passwords are not stored anew here
}

func (p *passdb) name() string {
	if p.Name != "" {
		return p.Name
	}
	return p.Driver
}

// userdb is an entry in its chain.
type userdb struct {
	UserEntry
	number int
	key    []string
}

func (u *userdb) name() string {
	if u.Name != "" {
		return u.Name
	}
	return u.Driver
}
