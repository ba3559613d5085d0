import Foundation
import Testing

/// That what is planted is found, in each form and place: a search that finds nothing proves something only then.
@Suite struct EvidenceTests {
    private static let halves = ["kQ3vN8xWz2Lp7RtB", "Yh5Gd1Sf9Jm4Xc6V"]
    private static let secret = Secret("canary", parts: halves.map { Array($0.utf8) })

    private static var plants: [String] {
        let (whole, half) = (halves.joined(separator: "@/"), halves[0])
        let bytes = Array(half.utf8)
        func hex(_ prefix: String, _ format: String) -> String { bytes.map { prefix + String(format: format, $0) }.joined() }
        return [
            whole, half, halves[1], "postgres://app:\(half)", hex("", "%02x"), hex("", "%02X"), hex("%", "%02x"), hex("%", "%02X"), "\(bytes)",
            whole.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "",
        ] + ["", "a", "ad", "ada:", "ada::"].map { Data(($0 + whole).utf8).base64EncodedString() }
    }

    @Test func aPlantedSecretIsFoundInEveryForm() {
        for plant in Self.plants {
            let evidence = Evidence()
            evidence.add(.log, "planted", "a line before\n\(String(repeating: "x", count: 70_000)) \(plant) and behind\n")
            #expect(evidence.findings([Self.secret]).count == 1, "\(plant)")
        }
    }

    @Test func whatIsAllowedOrSomethingElseIsNotReported() {
        let evidence = Evidence()
        evidence.add(.store, "table", Self.halves[0])
        evidence.add(.log, "log", "kQ3vN8xWz2Lp7Rt Yh5Gd1Sf9Jm4Xc6")
        #expect(evidence.findings([Secret("canary", allowed: [.store], parts: Self.halves.map { Array($0.utf8) })]) == [])
        #expect(evidence.findings([Self.secret]).count == 1)
        #expect(evidence.findings([Self.secret]).allSatisfy { !$0.contains(Self.halves[0]) }, "a finding does not repeat it")
    }
}
