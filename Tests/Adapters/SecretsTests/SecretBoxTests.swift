import Foundation
import Secrets
import Testing

@Suite struct SecretBoxTests {
    private let box = SecretBox(key: Array(0..<32))

    @Test(arguments: ["", "hunter2", "p@ss/wörd?&=%", String(repeating: "x", count: 5000)])
    func whatIsSealedOpensAgain(_ secret: String) throws {
        let sealed = box.seal(secret, context: "c")
        #expect(try box.open(sealed, context: "c") == secret)
        #expect(secret.isEmpty || !sealed.contains(secret))
    }

    @Test func theSameSecretIsSealedDifferentlyEachTime() {
        #expect(box.seal("a", context: "c") != box.seal("a", context: "c"))
    }

    @Test func aChangedBitAnywhereDoesNotOpen() throws {
        let sealed = Array(box.seal("hunter2", context: "c").utf8)
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        for place in sealed.indices {
            var damaged = sealed
            let digit = alphabet.firstIndex(of: damaged[place])!
            // The top bit of a digit: the low ones of the last digit may be padding.
            damaged[place] = alphabet[digit ^ 32]
            #expect(throws: SecretError(.sealedElsewhere)) { try box.open(String(decoding: damaged, as: UTF8.self), context: "c") }
        }
    }

    @Test func anotherContextAnotherKeyAndNonsenseDoNotOpen() {
        let sealed = box.seal("hunter2", context: "postgres://u@a/d")
        #expect(throws: SecretError(.sealedElsewhere)) { try box.open(sealed, context: "postgres://u@evil/d") }
        #expect(throws: SecretError(.sealedElsewhere)) { try SecretBox(key: Array(1...32)).open(sealed, context: "postgres://u@a/d") }
        for text in ["", "A", "====", "ä", String(sealed.dropLast(8))] {
            #expect(throws: SecretError(.sealedElsewhere)) { try box.open(text, context: "postgres://u@a/d") }
        }
    }
}

@Suite struct SeveralKeysTests {
    private let old = SecretBox(key: Array(0..<32))
    private let new = SecretBox(key: Array(1...32))
    private let endpoint = "postgres://app:geheim@10.0.0.1/shop?sslmode=require"

    @Test func eachKeyOpensAndTheFirstSeals() throws {
        let both = new.accepting([old])
        for box in [old, new] { #expect(try both.open(box.seal("a", context: "c"), context: "c") == "a") }
        #expect(try new.open(both.seal("a", context: "c"), context: "c") == "a")
        #expect(throws: SecretError(.sealedElsewhere)) { try old.open(both.seal("a", context: "c"), context: "c") }
        #expect(both.tokenSecret == new.tokenSecret && both.parts.map(\.tokenSecret) == [new.tokenSecret, old.tokenSecret])
        // The same key twice is one.
        #expect(new.accepting([new, old, old.accepting([new])]).parts.count <= 3)
    }

    @Test func bytesOpenForTheirPurposeAndContextOnly() throws {
        let bytes = Data((0..<5000).map { UInt8(truncatingIfNeeded: $0) })
        let sealed = old.seal(bytes, purpose: "p", context: "c")
        #expect(try new.accepting([old]).open(sealed, purpose: "p", context: "c") == bytes)
        for (purpose, context) in [("q", "c"), ("p", "d")] {
            #expect(throws: SecretError(.sealedElsewhere)) { try old.open(sealed, purpose: purpose, context: context) }
        }
        #expect(throws: SecretError(.sealedElsewhere)) { try new.open(sealed, purpose: "p", context: "c") }
        for place in stride(from: 0, to: sealed.count, by: 97) {
            var damaged = sealed
            damaged[place] ^= 1
            #expect(throws: SecretError(.sealedElsewhere)) { try old.open(damaged, purpose: "p", context: "c") }
        }
        for nonsense in [Data(), Data([1]), sealed.dropLast(1)] {
            #expect(throws: SecretError(.sealedElsewhere)) { try old.open(Data(nonsense), purpose: "p", context: "c") }
        }
    }

    @Test func whatIsSealedWithAnOtherKeyIsSealedAnewOnceAndStaysBoundToItsEndpoint() throws {
        let sealed = try EndpointSecrets.sealed(endpoint, with: old)
        let both = new.accepting([old])
        let resealed = try #require(try EndpointSecrets.resealed(sealed, with: both))
        #expect(try EndpointSecrets.opened(resealed, with: new) == EndpointSecrets.opened(sealed, with: old))
        #expect(try EndpointSecrets.resealed(resealed, with: both) == nil)
        #expect(throws: SecretError(.sealedElsewhere)) { try EndpointSecrets.resealed(sealed, with: new) }
        #expect(throws: SecretError(.sealedElsewhere)) { try EndpointSecrets.resealed(sealed.replacing("10.0.0.1", with: "10.0.0.2"), with: both) }
        for other in ["postgres://app@h/d", "postgres://app@h/d?password=env:X"] { #expect(try EndpointSecrets.resealed(other, with: both) == nil) }
    }

    @Test func aCodeIsOfItsKeyItsPurposeAndItsBytes() {
        let (old, new) = (SecretBox(key: Array(repeating: 1, count: 32)), SecretBox(key: Array(repeating: 2, count: 32)))
        let bytes = Data("some bytes".utf8)
        let code = old.code(of: bytes, purpose: "a")
        #expect(code.count == 32 && old.isCode(code, of: bytes, purpose: "a"))
        #expect(!old.isCode(code, of: bytes, purpose: "b") && !old.isCode(code, of: bytes + [0], purpose: "a") && !new.isCode(code, of: bytes, purpose: "a"))
        #expect(!old.isCode(Data(), of: bytes, purpose: "a") && !old.isCode(code.dropLast(), of: bytes, purpose: "a"))
        // While the key is rotated.
        #expect(new.accepting([old]).isCode(code, of: bytes, purpose: "a"))
    }
}
