@0xabcdef1234567890;
struct Trade { timestamp @0 :UInt64; ticker @1 :Text; price @2 :Float64; size @3 :UInt32; side @4 :Side; tradeId @5 :Text; }
enum Side { buy @0; sell @1; }
struct OrderBookUpdate { timestamp @0 :UInt64; ticker @1 :Text; bids @2 :List(Level); asks @3 :List(Level); }
struct Level { price @0 :Float64; size @1 :UInt32; }
struct MarketStatus { timestamp @0 :UInt64; ticker @1 :Text; status @2 :Status; }
enum Status { open @0; closed @1; halted @2; }
