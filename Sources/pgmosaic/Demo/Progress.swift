/// What the person who started the demo sees: one line a step, on standard output.
struct Progress: Sendable {
    private let start = ContinuousClock.now

    func step(_ text: String) {
        let elapsed = (ContinuousClock.now - start).components
        let tenths = elapsed.seconds * 10 + elapsed.attoseconds / 100_000_000_000_000_000
        line("[\(tenths / 10).\(tenths % 10) s] \(text)")
    }

    func line(_ text: String) { Console.line(text) }

    /// 336776 as 336,776.
    static func grouped(_ number: Int) -> String {
        var text = ""
        for (index, digit) in String(number).reversed().enumerated() {
            if index > 0, index % 3 == 0, digit != "-" { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }
}
