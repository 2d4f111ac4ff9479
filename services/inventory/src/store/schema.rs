//! The tables, as the migrations make them.

diesel::table! {
    products (id) {
        id -> Text,
        sku -> Text,
        name -> Text,
        category -> Text,
        price_minor -> BigInt,
        currency -> Text,
        created_at -> Timestamp,
        version -> BigInt,
    }
}

diesel::table! {
    stock (product_id) {
        product_id -> Text,
        on_hand -> BigInt,
        reserved -> BigInt,
    }
}

diesel::table! {
    reservations (order_id) {
        order_id -> Text,
        product_id -> Nullable<Text>,
        quantity -> Nullable<BigInt>,
        unit_price_minor -> Nullable<BigInt>,
        currency -> Nullable<Text>,
        state -> Text,
        created_at -> Timestamp,
        settled_at -> Nullable<Timestamp>,
        traceparent -> Nullable<Text>,
    }
}

diesel::table! {
    stock_adjustments (id) {
        id -> Text,
        product_id -> Text,
        change -> BigInt,
        reason -> Text,
        user_id -> Text,
        created_at -> Timestamp,
    }
}

diesel::joinable!(stock -> products (product_id));
diesel::allow_tables_to_appear_in_same_query!(products, stock, reservations);
