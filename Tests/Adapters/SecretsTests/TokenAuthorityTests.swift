import ControlAPI
import Foundation
import RESTTestKit
import Secrets
import ShardModel
import Testing

@Suite struct TokenAuthorityTests {
    private let clock = TestClock()

    private func authority(leeway: Double = 30, secret: [UInt8]? = TokenForge.secret, keySet: String? = nil) throws -> TokenAuthority {
        try TokenAuthority(
            TokenSettings(leeway: leeway, secret: secret, keySetFile: keySet, providerIssuer: keySet == nil ? nil : "https://idp"), now: { [clock] in clock.now })
    }

    private func error(_ token: String, _ authority: TokenAuthority) -> TokenError? {
        do throws(TokenError) {
            _ = try authority.verify(token)
            return nil
        } catch { return error }
    }

    private static let provider: [String: JSONValue?] = ["iss": "https://idp"]

    @Test func whileASecretIsRotatedTokensOfBothAreTakenAndThenOnlyOfTheNew() throws {
        let user = UserRecord(name: "ada", verifier: "", roles: ["admin"])
        let (old, new) = (TokenForge.secret, Array(TokenForge.secret.reversed()))
        var settings = TokenSettings(secret: new)
        settings.formerSecrets = [old]
        let both = try TokenAuthority(settings, now: { [clock] in clock.now })
        let token = try authority(secret: old).issue(for: user).token
        #expect(try both.verify(token).subject == "ada")
        #expect(try authority(secret: new).verify(both.issue(for: user).token).subject == "ada")
        #expect(throws: TokenError.wrongSignature) { try authority(secret: new).verify(token) }
        #expect(throws: TokenError.wrongSignature) { try authority(secret: old).verify(both.issue(for: user).token) }
    }

    @Test func itsOwnTokensComeBackAsTheyWereMade() throws {
        let authority = try authority()
        var user = UserRecord(name: "ada", verifier: "v", roles: [])
        user.set(roles: ["viewer"], grants: [DatabaseGrant(database: "shop", rights: [.read]), DatabaseGrant(database: "*", rights: [.write])])
        let (token, claims) = authority.issue(for: user)
        let read = try authority.verify(token)
        #expect(read == claims && read.subject == "ada" && read.roles == [.viewer] && read.grants == user.grants && read.source == .cluster)
        #expect(authority.issue(for: user).claims.id != claims.id)
        #expect(!token.contains("SCRAM") && token.split(separator: ".").count == 3)
    }

    @Test func theTimesAreKeptWithinTheLeeway() throws {
        let authority = try authority(leeway: 10)
        let token = TokenForge.hs256()
        #expect(error(token, authority) == nil)
        // Twice: the second time it is known.
        for _ in 0..<2 {
            clock.now = TokenForge.start + 609
            #expect(error(token, authority) == nil)
            clock.now = TokenForge.start + 610
            #expect(error(token, authority) == .expired)
        }
        clock.now = TokenForge.start
        let start = Int64(TokenForge.start)
        for (name, inside, outside) in [("nbf", start + 10, start + 11), ("iat", start + 10, start + 11)] {
            #expect(error(TokenForge.hs256(TokenForge.claims([name: .integer(inside)])), authority) == nil)
            #expect(error(TokenForge.hs256(TokenForge.claims([name: .integer(outside)])), authority) == .notYetValid, "\(name)")
        }
        #expect(error(TokenForge.hs256(TokenForge.claims(["exp": .integer(start + 90_000)])), authority) == .validTooLong)
    }

    @Test(arguments: [
        (["iss": "evil"] as [String: JSONValue?], TokenError.wrongIssuer), (["iss": .some(nil)], .wrongIssuer), (["aud": "other"], .wrongAudience),
        (["aud": .some(nil)], .wrongAudience), (["aud": .array(["a", "b"])], .wrongAudience), (["aud": .integer(1)], .wrongAudience), (["sub": .some(nil)], .malformed),
        (["sub": ""], .malformed), (["jti": .some(nil)], .malformed), (["exp": .some(nil)], .malformed), (["exp": "1700000600"], .malformed),
        (["exp": .number("1e400")], .malformed), (["exp": .integer(-1)], .malformed), (["iat": .some(nil)], .malformed), (["nbf": "soon"], .malformed),
        (["roles": "admin"], .malformed), (["databases": "shop"], .malformed), (["databases": .array([1])], .malformed),
    ])
    func claimsThatAreNotAsTheyMustBeAreRefused(_ changes: [String: JSONValue?], expected: TokenError) throws {
        #expect(error(TokenForge.hs256(TokenForge.claims(changes)), try authority()) == expected)
    }

    @Test func anAudienceAmongOthersWillDo() throws {
        #expect(try authority().verify(TokenForge.hs256(TokenForge.claims(["aud": .array(["x", "pgmosaic"])]))).subject == "ada")
    }

    @Test func nothingThatIsNotSignedByTheSecretIsBelieved() throws {
        let authority = try authority()
        let good = TokenForge.hs256()
        let parts = good.split(separator: ".").map(String.init)
        let forged = TokenForge.base64(TokenForge.claims(["sub": "eve"]).encoded())
        for bad in [
            "", ".", "..", "...", parts[0], "\(parts[0]).\(parts[1])", "\(parts[0]).\(parts[1]).", "\(good).", ".\(good)", "\(good)=", " \(good)", good + "A",
            String(good.dropLast()), "\(parts[0]).\(forged).\(parts[2])", TokenForge.hs256(secret: Array(repeating: 1, count: 32)),
            "\(parts[1]).\(parts[1]).\(parts[2])", String(repeating: "a", count: 1 << 20), "\(parts[0]).\(String(repeating: "A", count: 60_000)).\(parts[2])",
            good.replacing(".", with: "\n."), "é.é.é",
        ] {
            #expect(error(bad, authority) != nil, "\(bad.prefix(80))")
        }
        // Cut off anywhere, or with any one character another.
        for offset in stride(from: 0, to: good.utf8.count, by: 3) {
            #expect(error(String(good.prefix(offset)), authority) != nil)
            var bytes = Array(good.utf8)
            bytes[offset] = bytes[offset] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(error(String(decoding: bytes, as: UTF8.self), authority) != nil, "\(offset)")
        }
        #expect(error(good, authority) == nil)
    }

    @Test(arguments: ["none", "None", "NONE", "nOnE", "", "HS384", "HS512", "hs256", "RS256", "ES256", "EdDSA", "PS256"])
    func noOtherAlgorithmIsTakenForTheSecrets(algorithm: String) throws {
        let authority = try authority()
        let header: JSONValue = ["alg": .string(algorithm), "typ": "JWT"]
        #expect(error(TokenForge.hs256(header: header), authority) != nil)
        let unsigned = TokenForge.base64(header.encoded()) + "." + TokenForge.base64(TokenForge.claims().encoded()) + "."
        #expect(error(unsigned, authority) != nil)
    }

    @Test(arguments: [
        #"{"typ":"JWT"}"#, #"{"alg":null}"#, #"{"alg":["HS256"]}"#, #"{"alg":"none","alg":"HS256"}"#, #"{"alg":"HS256","crit":["exp"]}"#,
        #"{"alg":"HS256","b64":false}"#, #"{"alg":"HS256","typ":"JWE"}"#, #"{"alg":"HS256","kid":"s"}"#, #"{"alg":"HS256","kid":1}"#, #"["HS256"]"#, "x",
    ])
    func headersThatSayMoreThanWeUnderstandAreRefused(header: String) throws {
        let signed = TokenForge.base64(header.utf8) + "." + TokenForge.base64(TokenForge.claims().encoded())
        let token = signed + "." + TokenForge.base64(TokenForge.mac(Array(signed.utf8)))
        #expect(error(token, try authority()) != nil)
    }

    // MARK: Keys of a provider

    @Test func aProvidersTokensAreTakenByTheKeyThatTheyName() throws {
        try withFile(try TokenForge.keySet()) { path in
            let authority = try authority(keySet: path)
            let rights: JSONValue = ["shop": ["query:read", "other"], "*": ["query:write"]]
            let roles: JSONValue = ["operator", "their-own"]
            let claims = TokenForge.claims(["iss": "https://idp", "roles": roles, "databases": rights])
            for token in [try TokenForge.rs256(claims), try TokenForge.es256(claims), try TokenForge.eddsa(claims)] {
                let read = try authority.verify(token)
                #expect(read.source == .provider && read.roles == [.operator] && read.grants.access(to: "shop") == .write)
            }
            let named = try authority.verify(try TokenForge.es256(TokenForge.claims(["iss": "https://idp", "databases": .array(["a", "b"])])))
            #expect(named.grants.access(to: "a") == .write && named.grants.access(to: "c") == nil)
        }
    }

    @Test func aPublicKeyIsNoSecretAndASecretNoProvidersKey() throws {
        try withFile(try TokenForge.keySet()) { path in
            let authority = try authority(keySet: path)
            let provider = TokenForge.claims(Self.provider)
            // HS256 signed with what everybody knows, in each form that it is published in.
            let keys = TokenForge.publicKeys + [Array(try TokenForge.keySet().utf8)]
            for key in keys {
                for kid in ["r", "e", "d", "s"] {
                    #expect(error(TokenForge.hs256(provider, header: ["alg": "HS256", "kid": .string(kid)], secret: key), authority) != nil)
                    #expect(error(TokenForge.hs256(provider, header: ["alg": "RS256", "kid": .string(kid)], secret: key), authority) != nil)
                }
                #expect(error(TokenForge.hs256(secret: key), authority) == .wrongSignature)
            }
            // One key's signature under another's name or algorithm.
            #expect(error(try TokenForge.es256(provider, header: ["alg": "ES256", "kid": "r"]), authority) == .unknownKey)
            #expect(error(try TokenForge.es256(provider, header: ["alg": "RS256", "kid": "r"]), authority) == .wrongSignature)
            #expect(error(try TokenForge.rs256(provider, header: ["alg": "PS256", "kid": "r"]), authority) == .unknownKey)
            #expect(error(try TokenForge.rs256(provider, header: ["alg": "RS256", "kid": "nobody's"]), authority) == .unknownKey)
            // Nobody speaks for the other's users.
            #expect(error(try TokenForge.rs256(TokenForge.claims()), authority) == .wrongIssuer)
            #expect(error(TokenForge.hs256(provider), authority) == .wrongIssuer)
        }
    }

    @Test func keysAreTakenUpAndLetGoOfWhileTheServerRuns() throws {
        try withFile(try TokenForge.keySet(["r"])) { path in
            let authority = try authority(keySet: path)
            let (old, new) = (try TokenForge.rs256(TokenForge.claims(Self.provider)), try TokenForge.eddsa(TokenForge.claims(Self.provider)))
            #expect(error(old, authority) == nil && error(new, authority) == .unknownKey)
            // What cannot be read leaves the keys as they are.
            try Data("{".utf8).write(to: URL(filePath: path))
            clock.now += 11
            #expect(error(old, authority) == nil)
            try Data(try TokenForge.keySet(["d"]).utf8).write(to: URL(filePath: path), options: .atomic)
            clock.now += 11
            // The old one was known, and is not valid any more for all that.
            #expect(error(old, authority) == .unknownKey && error(new, authority) == nil)
        }
    }

    @Test(arguments: [
        ("{}", TokenSettingsError.keySetMalformed), (#"{"keys":[]}"#, .keySetUnusable), ("no", .keySetMalformed),
        (#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, .keySetUnusable), (#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#, .keySetUnusable),
        (#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}"#, .keySetUnusable),
    ])
    func aSetWithoutAUsableKeyIsRefusedAtTheStart(text: String, expected: TokenSettingsError) throws {
        try withFile(text) { path in
            #expect(throws: expected) { try authority(keySet: path) }
        }
        #expect(throws: TokenSettingsError.keySetMissing) { try authority(keySet: "/nowhere") }
    }

    @Test func withoutAKeyOfItsOwnAClusterHasNoTokens() throws {
        try withFile(try TokenForge.keySet()) { path in
            let authority = try authority(secret: nil, keySet: path)
            #expect(!authority.mayIssue && error(TokenForge.hs256(), authority) == .unknownKey)
        }
        #expect(throws: TokenSettingsError.noKey) { try authority(secret: nil) }
        #expect(throws: TokenSettingsError.secretTooShort) { try authority(secret: Array(repeating: 0, count: 31)) }
    }

    // MARK: The secret

    @Test func aSecretIsReadFromAPrivateFileOrAVariable() throws {
        let text = String(decoding: TokenForge.secret, as: UTF8.self)
        try withFile(text + "\n") { path in
            #expect(throws: TokenSettingsError.secretOpenToOthers) {
                try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
                _ = try TokenSettings.secret(at: "file:\(path)")
            }
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
            #expect(try TokenSettings.secret(at: "file:\(path)") == TokenForge.secret)
        }
        #expect(try TokenSettings.secret(at: "env:S", environment: ["S": text]) == TokenForge.secret)
        #expect(throws: TokenSettingsError.secretTooShort) { try TokenSettings.secret(at: "env:S", environment: ["S": String(text.dropLast())]) }
        #expect(throws: TokenSettingsError.secretMissing) { try TokenSettings.secret(at: "env:S", environment: [:]) }
        #expect(throws: TokenSettingsError.secretMissing) { try TokenSettings.secret(at: "file:/nowhere") }
        #expect(throws: TokenSettingsError.secretNotAReference) { try TokenSettings.secret(at: text) }
    }

    @Test func theKeyOfPasswordsGivesASecretThatIsNotItself() {
        let box = SecretBox(key: Array(0..<32))
        #expect(box.tokenSecret.count == 32 && box.tokenSecret != Array(0..<32))
        #expect(box.tokenSecret == SecretBox(key: Array(0..<32)).tokenSecret && box.tokenSecret != SecretBox(key: Array(1..<33)).tokenSecret)
    }
}
