/// Why a token is not accepted. Only `expired` and what comes after it in the list may be told to the caller: before, the signature has not proved anything.
package enum TokenError: String, Error, Hashable, Sendable, CaseIterable {
    case malformed, unknownKey, wrongSignature, wrongIssuer, wrongAudience, notYetValid, validTooLong, expired, revoked
}
