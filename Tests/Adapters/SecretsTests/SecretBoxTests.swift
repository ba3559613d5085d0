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
