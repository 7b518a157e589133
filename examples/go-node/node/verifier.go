package node

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

const (
	leeway        = 30 * time.Second
	maxCharacters = 16 * 1024
)

// Refusal says why a token is not good, and nothing of its content.
type Refusal struct{ detail string }

func (r *Refusal) Error() string { return r.detail }

func refuse(detail string) error { return &Refusal{detail} }

// Caller is who a VPN JWT speaks for.
type Caller struct {
	Issuer string
	// Username is never given to anybody else.
	Username string
	// Email may be unproven, and is empty where there is none.
	Email string
	Role  string
	Level int
	// IsNode is true for a node that calls for itself: that is no person, and its level is 0.
	IsNode bool
}

// Verifier takes the VPN JWTs of one server by RS256, for VPN nodes, by the published keys.
type Verifier struct {
	settings Settings
	keys     *keySet
}

// NewVerifier fetches nothing yet.
func NewVerifier(settings Settings) *Verifier {
	keys := &keySet{url: settings.JWKSURL, client: newHTTPClient(), now: time.Now}
	return &Verifier{settings: settings, keys: keys}
}

// Verify gives a *Refusal for a token that is not good, and ErrAway where nobody can tell.
func (v *Verifier) Verify(ctx context.Context, token string) (Caller, error) {
	key, err := v.keyOf(token)
	if err != nil {
		return Caller{}, err
	}
	verifier := oidc.NewVerifier(v.settings.Issuer, &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{key}}, &oidc.Config{
		ClientID:             v.settings.Audience,
		SupportedSigningAlgs: []string{oidc.RS256},
		Now:                  func() time.Time { return time.Now().Add(-leeway) },
	})
	verified, err := verifier.Verify(ctx, token)
	var expired *oidc.TokenExpiredError
	if errors.As(err, &expired) {
		return Caller{}, refuse("The token has expired.")
	}
	if err != nil {
		return Caller{}, refuse("This is no VPN JWT of the issuer for this node.")
	}
	if verified.IssuedAt.IsZero() || verified.IssuedAt.After(time.Now().Add(leeway)) {
		return Caller{}, refuse("The token was issued in the future, or never.")
	}
	return callerOf(verified)
}

// The header decides nothing but which published key is tried: the kind of token is looked at first.
func (v *Verifier) keyOf(token string) (crypto.PublicKey, error) {
	if len(token) > maxCharacters {
		return nil, refuse("This is no VPN JWT.")
	}
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, refuse("This is no VPN JWT.")
	}
	header := parsed.Signatures[0].Protected
	kind, _ := header.ExtraHeaders[jose.HeaderType].(string)
	kind = strings.TrimPrefix(strings.ToLower(kind), "application/")
	if kind != "at+jwt" || header.KeyID == "" {
		return nil, refuse("This is no VPN JWT.")
	}
	return v.keys.find(header.KeyID)
}

func callerOf(verified *oidc.IDToken) (Caller, error) {
	var claims struct {
		JTI      string          `json:"jti"`
		ClientID string          `json:"client_id"`
		Email    string          `json:"email"`
		Role     string          `json:"role"`
		Level    *int            `json:"level"`
		Cnf      json.RawMessage `json:"cnf"`
	}
	if err := verified.Claims(&claims); err != nil {
		return Caller{}, refuse("This is no VPN JWT: its claims are of another kind.")
	}
	if claims.Cnf != nil {
		return Caller{}, refuse("The token is bound to a key and is no bearer token.")
	}
	isWhole := verified.Subject != "" && claims.JTI != "" && claims.ClientID != "" && claims.Role != ""
	if !isWhole || claims.Level == nil || *claims.Level < 0 {
		return Caller{}, refuse("This is no VPN JWT: it names no role and level.")
	}
	return Caller{
		Issuer:   verified.Issuer,
		Username: verified.Subject,
		Email:    claims.Email,
		Role:     claims.Role,
		Level:    *claims.Level,
		// A username never equals a client id: the server sees to that.
		IsNode: verified.Subject == claims.ClientID,
	}, nil
}
