/// The closest of some known names to one that is not known.
enum Suggestion {
    /// nil when nothing is close: more than a third of the letters would have to change.
    static func closest(to word: String, among known: [String]) -> String? {
        let distances = known.map { (name: $0, distance: distance(word, $0)) }
        guard let best = distances.min(by: { $0.distance < $1.distance }), best.distance <= max(2, word.count / 3) else { return nil }
        return best.name
    }

    /// Levenshtein's: letters to insert, delete or replace.
    static func distance(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a.utf8), Array(b.utf8))
        var row = Array(0...b.count)
        for (i, letter) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in b.enumerated() {
                let substitution = diagonal + (letter == other ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(substitution, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[b.count]
    }
}
