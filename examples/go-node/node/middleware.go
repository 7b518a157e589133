package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"regexp"
	"strings"
)

var bearer = regexp.MustCompile(`^(?i:bearer) +([\w.~+/-]+=*)$`)

// Guard lets people in by their VPN JWT and puts the node's own user of each on the request.
type Guard[User any] struct {
	Verifier *Verifier
	// Sync makes or updates the user, at each request: role, level and email are those of the token. A *Refusal that
	// it gives is answered with 403.
	Sync func(context.Context, Caller) (User, error)
}

type userKey struct{}

// UserOf is what Sync gave for the request.
func UserOf[User any](request *http.Request) User {
	user, _ := request.Context().Value(userKey{}).(User)
	return user
}

// Require lets in people of that level, by VPN JWT alone: no cookie counts, so there is nothing to forge.
func (g Guard[User]) Require(level int, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, ok := g.admit(w, r, level)
		if !ok {
			return
		}
		user, err := g.Sync(r.Context(), caller)
		var refusal *Refusal
		switch {
		case errors.As(err, &refusal):
			Problem(w, http.StatusForbidden, refusal.Error())
		case err != nil:
			log.Printf("the user of a person: %v", err)
			Problem(w, http.StatusInternalServerError, "Something went wrong here.")
		default:
			next(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
		}
	})
}

// Answers whoever is not let in.
func (g Guard[User]) admit(w http.ResponseWriter, r *http.Request, level int) (Caller, bool) {
	authorization := r.Header.Get("Authorization")
	if len(authorization) < 6 || !strings.EqualFold(authorization[:6], "bearer") {
		w.Header().Set("WWW-Authenticate", "Bearer")
		Problem(w, http.StatusUnauthorized, "Send a VPN JWT as: Authorization: Bearer TOKEN.")
		return Caller{}, false
	}
	caller, err := g.verify(r.Context(), authorization)
	switch {
	case errors.Is(err, ErrAway):
		log.Print(err)
		w.Header().Set("Retry-After", "5")
		Problem(w, http.StatusServiceUnavailable, "Tokens cannot be checked at the moment.")
	case err != nil:
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		Problem(w, http.StatusUnauthorized, err.Error())
	case caller.IsNode:
		Problem(w, http.StatusForbidden, "This is for people: a node's own token is none.")
	case caller.Level < level:
		Problem(w, http.StatusForbidden, fmt.Sprintf("This needs the level %d; yours is %d.", level, caller.Level))
	default:
		return caller, true
	}
	return Caller{}, false
}

func (g Guard[User]) verify(ctx context.Context, authorization string) (Caller, error) {
	token := bearer.FindStringSubmatch(authorization)
	if token == nil {
		return Caller{}, refuse("This is no VPN JWT.")
	}
	return g.Verifier.Verify(ctx, token[1])
}

// Problem answers with one (RFC 9457).
func Problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "about:blank", "status": status, "detail": detail})
}
