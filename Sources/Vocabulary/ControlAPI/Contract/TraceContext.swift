/// Where a request stands in a distributed trace: W3C Trace Context, https://www.w3.org/TR/trace-context/.
package struct TraceContext: Hashable, Sendable {
    package static let parentName = "traceparent"
    package static let stateName = "tracestate"
    /// Longer states, and those with more members, are not passed on (section 3.3.1.3 asks for 512 characters, and names 32 as the most members).
    package static let stateBytesMax = 512
    private static let stateMembersMax = 32

    /// Of the whole trace: 32 hexadecimal digits, not all of them 0.
    package let traceID: String
    /// Of the step within it: 16 hexadecimal digits, not all of them 0.
    package let spanID: String
    /// Somebody upstream records the trace.
    package let isSampled: Bool
    /// What tracing systems keep with the trace, as it came; nil: nothing, or nothing that may be passed on.
    package let state: String?

    /// The caller's trace with a step of its own for this server; a new trace where the caller names none, or names it wrongly (section 3.2.2).
    ///
    /// - parents: the values of all `traceparent` fields of the request; there is one at most.
    /// - states: those of all `tracestate` fields, which count as one list.
    package init(parents: [String], states: [String], random: () -> UInt64 = { .random(in: .min ... .max) }) {
        spanID = Self.hex(Self.notZero(random))
        guard parents.count == 1, let parent = Self.parse(parents[0].utf8) else {
            traceID = Self.hex(random()) + Self.hex(Self.notZero(random))
            isSampled = false
            state = nil
            return
        }
        traceID = parent.traceID
        isSampled = parent.isSampled
        state = Self.passable(states)
    }

    /// The trace that a `traceparent` names, with the caller's step in it; nil: it is malformed.
    package init?(parent: String) {
        guard let parsed = Self.parse(parent.utf8) else { return nil }
        (traceID, spanID, isSampled, state) = (parsed.traceID, parsed.spanID, parsed.isSampled, nil)
    }

    /// The value of `traceparent` for the next server, and for the answer. Flags that this version does not know are not passed on (section 3.2.2.5.2).
    package var parent: String { "00-\(traceID)-\(spanID)-\(isSampled ? "01" : "00")" }

    // MARK: parts

    private static let versionEnd = 2, traceEnd = 35, spanEnd = 52, length = 55

    /// Of later versions what this one has counts (section 4.3).
    private static func parse(_ text: String.UTF8View) -> (traceID: String, spanID: String, isSampled: Bool)? {
        let bytes = Array(text.prefix(length + 1))
        let dash = UInt8(ascii: "-")
        guard bytes.count >= length, [versionEnd, traceEnd, spanEnd].allSatisfy({ bytes[$0] == dash }) else { return nil }
        let (version, trace, span, flags) = (bytes[..<versionEnd], bytes[versionEnd + 1..<traceEnd], bytes[traceEnd + 1..<spanEnd], bytes[spanEnd + 1..<length])
        guard [version, trace, span, flags].allSatisfy({ $0.allSatisfy(isDigit) }), !version.elementsEqual("ff".utf8), !isZero(trace), !isZero(span) else {
            return nil
        }
        guard bytes.count == length || (!isZero(version) && bytes[length] == dash) else { return nil }
        let lastDigit = Int(String(decoding: flags.suffix(1), as: UTF8.self), radix: 16) ?? 0
        return (String(decoding: trace, as: UTF8.self), String(decoding: span, as: UTF8.self), lastDigit & 1 == 1)
    }

    /// Lower case only (section 3.2.2.3).
    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    private static func isZero(_ digits: ArraySlice<UInt8>) -> Bool { digits.allSatisfy { $0 == UInt8(ascii: "0") } }

    private static func passable(_ states: [String]) -> String? {
        let joined = states.joined(separator: ",")
        guard (1...stateBytesMax).contains(joined.utf8.count), joined.utf8.allSatisfy({ (0x20...0x7E).contains($0) || $0 == 0x09 }),
            joined.utf8.count(where: { $0 == UInt8(ascii: ",") }) < stateMembersMax, joined.utf8.contains(UInt8(ascii: "="))
        else { return nil }
        return joined
    }

    private static func notZero(_ random: () -> UInt64) -> UInt64 { max(1, random()) }

    private static func hex(_ number: UInt64) -> String {
        String(unsafeUninitializedCapacity: 16) { bytes in
            for index in 0..<16 {
                let digit = UInt8(truncatingIfNeeded: number >> (60 - 4 * UInt64(index))) & 15
                bytes.initializeElement(at: index, to: digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            }
            return 16
        }
    }
}
