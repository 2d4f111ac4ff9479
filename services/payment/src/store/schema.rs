//! The tables, as the migrations make them.

diesel::table! {
    payments (order_id) {
        order_id -> Text,
        payment_id -> Nullable<Text>,
        user_id -> Nullable<Text>,
        amount_minor -> Nullable<BigInt>,
        currency -> Nullable<Text>,
        payment_method -> Nullable<Text>,
        status -> Text,
        transaction_id -> Nullable<Text>,
        failure_code -> Nullable<Text>,
        traceparent -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}
