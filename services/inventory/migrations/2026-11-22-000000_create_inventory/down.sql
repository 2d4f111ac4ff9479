DROP TABLE reservations;
DROP TABLE stock;
DROP TABLE products;
