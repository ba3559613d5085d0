import ControlAPI
import Testing

@Suite struct JSONFuzzTests {
    private static let seeds = [
        #"{"a":[1,2.5,-3e10,"x\n\u00e9\ud83d\ude00",null,true,false,{"b":{}}],"c":"日本語","d":9223372036854775807}"#,
        #"[[[[[[]]]]],{"":""},"\\\"/",0.1,-0,18446744073709551615]"#,
        #"{"query":"SELECT 1","params":[1,"two",null],"options":{"max_rows":10}}"#,
    ]

    /// The generator of Sebastiano Vigna's splitmix64: small, and the same everywhere.
    struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    private static func mutated(_ seed: String, _ random: inout Random) -> [UInt8] {
        var bytes = Array(seed.utf8)
        let alphabet = Array(#"{}[]",:\/u0123456789eE+-.truefalsn "#.utf8) + [0, 0x1F, 0x7F, 0x80, 0xC3, 0xE2, 0xED, 0xF0, 0xFF]
        for _ in 0..<Int.random(in: 1...6, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes.remove(at: place)
            case 1: bytes[place] = alphabet.randomElement(using: &random)!
            case 2: bytes.insert(alphabet.randomElement(using: &random)!, at: place)
            case 3: bytes.removeSubrange(place...)
            default:
                let end = min(bytes.count, place + Int.random(in: 1...12, using: &random))
                bytes.insert(contentsOf: Array(bytes[place..<end]), at: Int.random(in: 0...bytes.count, using: &random))
            }
        }
        return bytes
    }

    /// To replay one: put its seed here.
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func whateverIsReadIsWrittenAndReadAgainAsTheSame(_ seed: UInt64) throws {
        var random = Random(state: seed)
        var accepted = 0
        for round in 0..<4000 {
            let bytes = Self.mutated(Self.seeds[round % Self.seeds.count], &random)
            guard let value = try? JSONParser.parse(bytes) else { continue }
            accepted += 1
            let written = value.encoded()
            #expect((try? JSONParser.parse(written)) == value, "seed \(seed), round \(round): \(bytes)")
            #expect(written.allSatisfy { $0 >= 0x20 && $0 != 0x7F }, "seed \(seed), round \(round)")
        }
        #expect(accepted > 200)
    }

    @Test(arguments: [11, 12] as [UInt64])
    func aRequestIsReadOrRefusedWith400WhateverTheBytes(_ seed: UInt64) {
        var random = Random(state: seed)
        for round in 0..<3000 {
            let bytes = Self.mutated(Self.seeds[2], &random)
            do {
                _ = try ExecuteRequest(body: bytes)
            } catch {
                #expect(error.code.status == 400, "seed \(seed), round \(round)")
            }
        }
    }
}
