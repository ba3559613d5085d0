/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers from the same seed on every machine, which the standard library's generators do not promise.
struct SplitMix {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number in `range`, by multiplication; the bias below 2^-32 does not matter for sample data.
    mutating func int(_ range: ClosedRange<Int>) -> Int {
        let width = UInt64(range.upperBound - range.lowerBound + 1)
        return range.lowerBound + Int(((next() >> 32) * width) >> 32)
    }

    mutating func pick<Element>(_ list: [Element]) -> Element { list[int(0...(list.count - 1))] }

    /// True in `percent` of 100 cases.
    mutating func chance(_ percent: Int) -> Bool { int(1...100) <= percent }
}
