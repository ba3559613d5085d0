import Testing

@testable import Secrets

/// What holds a secret, printed as a whole.
@Suite struct RedactedTests {
    private struct Holder {
        var box = SecretBox(key: [UInt8](repeating: 0x41, count: 32)).accepting([SecretBox(key: [UInt8](repeating: 0x42, count: 32))])
        var tokens = TokenSettings(secret: Array("Geheimnis-Geheimnis-Geheimnis-0123".utf8))
        var password = EndpointSecrets.Password.plain("Geheimnis")
        var parts = try? EndpointSecrets.Parts("postgres://app:Geheimnis@host/shop?password=Geheimnis")
    }

    @Test func nothingOfASecretIsInTheTextOfWhatHoldsIt() {
        let holder = Holder()
        var dumped = ""
        dump(holder, to: &dumped)
        for text in ["\(holder)", String(reflecting: holder), dumped, "\([holder.tokens])", "\([1: holder.box])", String(reflecting: holder.parts)] {
            #expect(!text.contains("Geheimnis") && !text.contains("71, 101, 104") && !text.contains("65, 65"), "\(text)")
            #expect(text.contains("redacted"), "\(text)")
        }
    }
}
